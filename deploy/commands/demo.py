"""`./chikaya demo`: complaints travel the whole road on this machine, before one's eyes."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import typer
from rich.progress import Progress
from rich.table import Table

from deploy.commands.options import CHECKOUT, DEFAULT_DATA, DataFolder, terminal
from deploy.commands.running import start_detached
from deploy.local.errors import EmbeddedStackError
from deploy.local.secrets import development_client, operations_token
from deploy.local.state import read_state

_SAMPLES = Path(__file__).resolve().parents[1] / "samples.txt"
_QUESTIONS = CHECKOUT.parent / "shared" / "data" / "parliament_questions.csv"
_SETTLE_SECONDS = 60.0


class DemoFailed(EmbeddedStackError):
    """The demo saw something other than it should."""


def demo(
    data: DataFolder = DEFAULT_DATA,
    *,
    texts: Annotated[
        Path, typer.Option(help="CSV with a column `text`; without the file, the project's own samples are filed.")
    ] = _QUESTIONS,
    number: Annotated[int, typer.Option(min=1, max=10_000, help="How many complaints to file.")] = 300,
) -> None:
    """Start everything if needed, file real texts, show where each went, and check that none is missing."""
    folder = data.absolute()
    console = terminal()
    state = read_state(folder)
    if state is None or state.supervisor.process() is None:
        start_detached(folder, fresh=False)
        state = read_state(folder)
    if state is None:
        raise DemoFailed("The stack did not start; see `./chikaya logs`.")
    intake, tracker = state.addresses["intake"], state.addresses["tracker"]
    began = time.monotonic()
    with Progress(console=console) as progress:
        filing = progress.add_task("filed", total=number)
        receipts: list[dict[str, Any]] = []
        with httpx.Client(timeout=10, auth=development_client(folder, intake)) as client:
            for text in _texts(texts, number):
                receipts.append(_file(client, intake, text, len(receipts)))
                progress.advance(filing)
        with httpx.Client(timeout=10) as client:
            visible = progress.add_task("forwarded, parked or in triage", total=number)
            cases = []
            for receipt in receipts:
                cases.append(_settled(client, tracker, receipt))
                progress.advance(visible)
    _show(console, cases, time.monotonic() - began)
    report = _conservation(tracker, operations_token(folder))
    if not report["conserved"]:
        raise DemoFailed(f"Conservation does not hold; complaints without a state: {report['gap']}")
    console.print(f"Conservation holds: {report['accepted']} accepted = {_sum(report['states'])}.")
    sms, mails = _messages(state.addresses["catcher"], number)
    console.print(f"Citizens were told: {sms} SMS and {mails} e-mails, to read at {state.addresses['catcher']}")
    console.print(f"File one yourself: {state.addresses['portal']}   Stop everything: ./chikaya down")


def _texts(file: Path, number: int) -> list[str]:
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as rows:
            found = [row["text"] for row in csv.DictReader(rows) if row["text"].strip()]
    else:
        found = _SAMPLES.read_text(encoding="utf-8").splitlines()
    return [found[index % len(found)] for index in range(number)]


def _file(client: httpx.Client, intake: str, text: str, number: int) -> dict[str, Any]:
    body = {
        "subject": text[:120],
        "text": text,
        "channel": "web",
        "language": "ar" if any("\u0600" <= letter <= "\u06ff" for letter in text) else "fr",
        "complainant": {"phone": f"+2126{number:08d}", "email": f"citizen{number}@chikaya.example"},
        "preferred_contact": "sms" if number % 2 else "email",
    }
    answer = client.post(f"{intake}/v1/complaints", json=body, headers={"Idempotency-Key": str(uuid4())})
    if answer.status_code != 201:
        raise DemoFailed(f"Intake answered {answer.status_code} to a filing: {answer.text}")
    return dict(answer.json())


def _settled(client: httpx.Client, tracker: str, receipt: dict[str, Any]) -> dict[str, Any]:
    give_up_at = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        address = f"{tracker}/v1/complaints/{receipt['reference']}"
        answer = client.get(address, headers={"Access-Code": receipt["access_code"]})
        if answer.status_code == 200 and answer.json()["status"] != "received":
            return dict(answer.json())
        time.sleep(0.05)
    raise DemoFailed(f"Complaint {receipt['reference']} is not past `received`; see `./chikaya logs`.")


def _conservation(tracker: str, token: str) -> dict[str, Any]:
    answer = httpx.get(f"{tracker}/v1/conservation", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    return dict(answer.json())


def _messages(catcher: str, number: int) -> tuple[int, int]:
    """(short messages, e-mails) caught, once there are as many as complaints."""
    give_up_at = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < give_up_at:
        counts = httpx.get(f"{catcher}/counts", timeout=10).json()
        if counts["sms"] + counts["mails"] >= number:
            return counts["sms"], counts["mails"]
        time.sleep(0.2)
    raise DemoFailed("Citizens were not told of their complaints; see `./chikaya logs`.")


def _show(console: Any, cases: list[dict[str, Any]], seconds: float) -> None:
    counts = Counter(_destination(case) for case in cases)
    table = Table("where", "status", "complaints", title=f"{len(cases)} complaints in {seconds:.1f} s")
    for (where, status), count in counts.most_common():
        table.add_row(where, status, str(count))
    console.print(table)


def _destination(case: dict[str, Any]) -> tuple[str, str]:
    administration = case["administration"]
    if administration is None:
        return "triage desk", case["status"]
    return f"administrations.{administration['code']}.inbox", case["status"]


def _sum(states: dict[str, int]) -> str:
    return " + ".join(f"{count} {state}" for state, count in sorted(states.items()))
