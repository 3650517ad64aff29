"""`./chikaya file`: many filings at once, from a call centre's backlog or an older system."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TextIO

import httpx
import typer
from rich.progress import Progress

from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.local.errors import EmbeddedStackError
from deploy.local.secrets import development_client
from shared.runtime.client_credentials import BearerToken

_AT_ONCE = 16
_TRIES = 30
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_LATER = (429, 503)


class FilingStopped(EmbeddedStackError):
    """Not all rows were filed."""


@dataclass(frozen=True)
class Row:
    """A row of the file: its line, from 1, and the body to post.

    Its Idempotency-Key is made of the content (and of how often it came before), so that it is filed once however
    often the file is, also when lines were added above.
    """

    line: int
    content: str
    key: str


def file(
    rows: Annotated[Path, typer.Argument(help="NDJSON, or CSV with columns like place.commune.", exists=True)],
    *,
    results: Annotated[
        Path | None, typer.Option(help="Where each row's result goes, as NDJSON; FILE.results.ndjson unless given.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Base URL of intake; else the local stack's.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="CHIKAYA_API_KEY", help="For intake at --url.")] = None,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """File every row and write its receipt or errors. Run it again to go on where it stopped: nothing is doubled.

    Rows that were refused are tried again: correct them in the file. The results hold access codes: keep them as you
    keep the citizens' data.
    """
    kept = results or rows.with_name(f"{rows.name}.results.ndjson")
    filings = list(_rows(rows))
    _cut_off_half_a_line(kept)
    filed = _filed(kept)
    waiting = [row for row in filings if row.key not in filed]
    intake, credentials = _intake(url, api_key, data)
    with kept.open("a", encoding="utf-8") as log, Progress(console=terminal()) as progress:
        kept.chmod(0o600)
        bar = progress.add_task("filed", total=len(filings), completed=len(filings) - len(waiting))
        asyncio.run(_file_all(intake, credentials, iter(waiting), log, lambda: progress.advance(bar)))
    filed = _filed(kept)
    refused = [row.line for row in filings if row.key not in filed]
    terminal().print(f"{len(filings) - len(refused)} filed, {len(refused)} refused. Results: {kept}", soft_wrap=True)
    if refused:
        raise typer.Exit(1)


def _intake(url: str | None, api_key: str | None, data: Path) -> tuple[str, httpx.Auth | None]:
    if url is not None:
        return url, BearerToken(api_key) if api_key else None
    address = running_state(data.absolute()).addresses["intake"]
    return address, development_client(data.absolute(), address)


def _rows(file: Path) -> Iterator[Row]:
    before: Counter[str] = Counter()
    for line, content in _contents(file):
        digest = sha256(content.encode()).hexdigest()
        yield Row(line, content, f"bulk-{digest}-{before[digest]}")
        before[digest] += 1


def _contents(file: Path) -> Iterator[tuple[int, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".csv":
            reader = csv.DictReader(lines)
            for row in reader:
                yield reader.line_num, json.dumps(_nested(row), ensure_ascii=False)
            return
        for line, content in enumerate(lines, 1):
            if content.strip():
                yield line, content.strip()


def _nested(row: dict[str, str | None]) -> dict[str, Any]:
    """Columns `a.b` as members; empty cells are left out."""
    filing: dict[str, Any] = {}
    for column, cell in row.items():
        if cell:
            *path, last = column.split(".")
            within = filing
            for name in path:
                within = within.setdefault(name, {})
            within[last] = cell
    return filing


def _cut_off_half_a_line(results: Path) -> None:
    """What a crash left of a last line: its row is filed again, under the same key."""
    if results.exists():
        whole = results.read_bytes().rpartition(b"\n")
        os.truncate(results, len(whole[0]) + len(whole[1]))


def _filed(results: Path) -> set[str]:
    """The keys of the rows that have a receipt."""
    if not results.exists():
        return set()
    with results.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return {entry["key"] for entry in entries if entry["status"] == httpx.codes.CREATED}


async def _file_all(
    intake: str, credentials: httpx.Auth | None, rows: Iterator[Row], log: TextIO, advance: Callable[[], None]
) -> None:
    async def worker(http: httpx.AsyncClient) -> None:
        for row in rows:
            answer = await _answer(http, row)
            entry = {"line": row.line, "key": row.key, "status": answer.status_code, "answer": answer.json()}
            log.write(f"{json.dumps(entry, ensure_ascii=False)}\n")
            log.flush()
            advance()

    async with httpx.AsyncClient(base_url=intake, auth=credentials, timeout=30) as http:
        workers = [asyncio.create_task(worker(http)) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for one in workers:
                one.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def _answer(http: httpx.AsyncClient, row: Row) -> httpx.Response:
    reason = ""
    for _ in range(_TRIES):
        try:
            body, headers = row.content.encode(), {"Idempotency-Key": row.key}
            answer = await http.post("/v1/complaints", content=body, headers=headers)
        except httpx.HTTPError as error:
            reason = repr(error)
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        if answer.status_code in (401, 403):
            raise FilingStopped(f"intake does not let this client file ({answer.status_code}): give a valid --api-key.")
        if answer.status_code not in _LATER:
            return answer
        reason = f"status {answer.status_code}"
        await asyncio.sleep(min(float(answer.headers.get("retry-after", 1)), _LONGEST_PAUSE_SECONDS))
    raise FilingStopped(f"intake does not answer ({reason}); run this again to go on.")
