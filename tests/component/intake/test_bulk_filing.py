"""Bulk filing: a result for every row, and nothing doubled when it is run again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.command_line import build_application
from deploy.commands import filing
from shared.database.pool import Database


async def run(rows: Path, address: str) -> Result:
    def invoke() -> Result:
        return CliRunner().invoke(build_application(), ["file", str(rows), "--url", address])

    return await asyncio.to_thread(invoke)


async def accepted(database: Database) -> int:
    return len(await database.fetch("SELECT FROM submissions"))


def log_of(rows: Path) -> Path:
    return Path(f"{rows}.results.ndjson")


def results_of(rows: Path) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in log_of(rows).read_text().splitlines()), key=lambda entry: entry["line"])


def crash_after(number: int, rows: Path) -> None:
    """Leaves so many results, and a part of the next."""
    lines = log_of(rows).read_text().splitlines(keepends=True)
    log_of(rows).write_text("".join(lines[:number]) + lines[number][:9])


async def test_every_row_has_a_result_and_a_second_run_goes_on(
    address: str, database: Database, tmp_path: Path
) -> None:
    rows = tmp_path / "backlog.ndjson"
    body = {"subject": "Retard", "channel": "phone"}
    good = [json.dumps(body | {"text": f"تأخر الملف {number}"}, ensure_ascii=False) for number in range(30)]
    bad = ['{"subject": "x"', "", '{"subject": "Sans texte", "channel": "web"}']
    rows.write_text("\n".join([*good[:10], *bad, *good[10:], good[0]]))
    first = await run(rows, address)
    assert first.exit_code == 1 and "31 filed, 2 refused" in first.output
    results = results_of(rows)
    receipts = [result["answer"] for result in results if result["status"] == 201]
    assert len({receipt["reference"] for receipt in receipts}) == 31, "two citizens may say the same"
    assert [(result["line"], result["status"]) for result in results if result["status"] != 201] == [
        (11, 400),
        (13, 400),
    ]
    assert log_of(rows).stat().st_mode & 0o077 == 0
    crash_after(20, rows)
    rows.write_text("\n".join([*good, good[0]]))
    again = await run(rows, address)
    assert again.exit_code == 0 and "31 filed, 0 refused" in again.output
    assert await accepted(database) == 31


async def test_a_table_is_filed_too(address: str, database: Database, tmp_path: Path) -> None:
    rows = tmp_path / "backlog.csv"
    table = """subject,text,channel,place.latitude,complainant.phone
Retard,"Sur deux\nlignes",counter,33.5,0612345678
Refus,Sans raison,counter,,
"""
    rows.write_text(table, encoding="utf-8-sig")
    answer = await run(rows, address)
    assert answer.exit_code == 0, answer.output
    values = b"".join(row["value"] for row in await database.fetch("SELECT value FROM outbox")).decode()
    assert '"latitude":33.5' in values and '"phone":"0612345678"' in values and '"Sur deux\\nlignes"' in values


async def test_an_intake_that_is_away_stops_it_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "_PAUSE_SECONDS", 0.0)
    rows = tmp_path / "backlog.ndjson"
    rows.write_text('{"subject": "Retard", "text": "x", "channel": "web"}\n')
    answer = await run(rows, "http://127.0.0.1:1")
    assert isinstance(answer.exception, filing.FilingStopped) and "run this again" in str(answer.exception)
