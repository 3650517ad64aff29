"""The reference client of an administration, and the consumer of the documentation, on a secured Kafka."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from clients.administration.connection import Connection, KafkaFailed
from clients.administration.journal import Journal
from clients.administration.reader import Reader, RecordsExpired
from clients.administration.sinks import Folder, Received, Sqlite, Webhook, signature_is_valid
from deploy.commands.options import CHECKOUT
from shared.testing.administration import TestAdministration
from shared.testing.provisioning import Operations
from shared.testing.services import running_stand
from shared.testing.waiting import wait_until

BODY = {"subject": "Hôpital", "text": "Aucun médecin aux urgences de l'hôpital", "channel": "web"}
INBOX = "administrations.sante.inbox"
FORWARDED = "ma.chikaya.assignment.forwarded.v1"
SECRET = b"secret of a test"


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operations]:
    with running_stand(tmp_path_factory.mktemp("logs")) as stand:
        found = Operations(stand, tmp_path_factory.mktemp("credentials"))
        with found.running_provisioner():
            found.rotate("sante")
        yield found


@pytest.fixture
def sante(operations: Operations) -> Connection:
    return Connection.read(operations.folder / "sante.json")


def filed(operations: Operations) -> tuple[dict[str, str], str]:
    """A complaint of the ministry of health: receipt and assignment."""
    receipt = operations.stand.services.file(BODY)
    administration = TestAdministration(operations.stand.kafka.bootstrap_servers, "sante")
    return receipt, administration.assignment(receipt)


def command(operations: Operations, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `./chikaya administration …` as the ministry of health."""
    run = [sys.executable, "-m", "deploy.command_line", "administration", *arguments]
    credentials = ["--code", "sante", "--credentials", str(operations.folder / "sante.json")]
    return subprocess.run([*run, *credentials], capture_output=True, text=True, timeout=60, check=False)


def status(operations: Operations, receipt: dict[str, str]) -> str:
    return str(operations.stand.services.follow(receipt).json()["status"])


def test_the_commands_bring_complaints_to_a_folder_and_answer_both_ways(operations: Operations, tmp_path: Path) -> None:
    receipt, assignment = filed(operations)
    listen = ("listen", "--folder", str(tmp_path), "--once")
    assert re.fullmatch(r"[1-9]\d* events delivered\.\n", command(operations, *listen).stdout)
    assert command(operations, *listen).stdout == "0 events delivered.\n"
    kept = [json.loads(file.read_text()) for file in sorted((tmp_path / INBOX).glob("*.json"))]
    last = [event for event in kept if event["type"] == FORWARDED][-1]
    assert (last["data"]["reference"], last["data"]["assignment_id"]) == (receipt["reference"], assignment)
    assert last["specversion"] == "1.0"

    say = ("--assignment", assignment)
    assert "Sent as" in command(operations, "answer", "acknowledged", *say, "--over", "http").stdout
    assert "Sent as" in command(operations, "answer", "in-progress", *say, "--over", "kafka").stdout
    wait_until(lambda: status(operations, receipt) == "in_progress")
    told = command(operations, "answer", "acknowledged", *say, "--over", "http")
    assert (told.returncode, "not-allowed" in told.stderr) == (1, True)
    assert "Sent as" in command(operations, "answer", "answer", *say, "--text", "Un médecin est nommé.").stdout
    wait_until(lambda: status(operations, receipt) == "answered")
    nonsense = command(operations, "answer", "answer", "--assignment", "7")
    assert (nonsense.returncode, "assignment_id" in nonsense.stderr) == (1, True)


async def read(connection: Connection, journal: Journal, sink: Folder | Sqlite | Webhook) -> int:
    return await Reader(connection, journal, sink).run(asyncio.Event(), until_end=True)


async def test_repeats_are_dropped_and_what_is_no_event_is_passed_over(
    operations: Operations, sante: Connection, tmp_path: Path
) -> None:
    await asyncio.to_thread(filed, operations)
    with Journal(tmp_path / "journal") as journal:
        before, place = await read(sante, journal, Sqlite(journal)), journal.next_offset(INBOX) or 0
        found = journal.database.execute("SELECT * FROM events WHERE type = ?", (FORWARDED,)).fetchone()
        event_id, _, subject, moment, data, *_ = found
        headers = {"ce_specversion": "1.0", "ce_id": event_id, "ce_source": "/x", "ce_type": FORWARDED}
        headers |= {"ce_subject": subject, "ce_time": moment, "ce_causationid": subject, "ce_sequence": "1"}
        producer = Producer({"bootstrap.servers": operations.stand.kafka.bootstrap_servers})
        for record in (headers, {"ce_id": "none"}, {**headers, "ce_id": subject, "ce_type": "ma.chikaya.other.v9"}):
            producer.produce(INBOX, data.encode(), headers=[(name, text.encode()) for name, text in record.items()])
        assert producer.flush(10) == 0
        assert await read(sante, journal, Sqlite(journal)) == 0
        ((kept,),) = journal.database.execute("SELECT count(*) FROM events")
        assert kept == before
        assert journal.next_offset(INBOX) == place + 3


class DiesOnce(Sqlite):
    """Dies after it wrote, before the place was."""

    alive = False

    async def deliver(self, event: Received) -> None:
        await super().deliver(event)
        if not self.alive:
            raise KeyboardInterrupt


async def test_a_reader_that_dies_between_event_and_place_keeps_each_once(
    operations: Operations, sante: Connection, tmp_path: Path
) -> None:
    await asyncio.to_thread(filed, operations)
    with Journal(tmp_path / "journal") as journal, pytest.raises(KeyboardInterrupt):
        await read(sante, journal, DiesOnce(journal))
    with Journal(tmp_path / "journal") as journal:
        assert journal.database.execute("SELECT count(*) FROM events").fetchone() == (0,)
        delivered = await read(sante, journal, Sqlite(journal))
        assert journal.database.execute("SELECT count(*) FROM events").fetchone() == (delivered,)
        assert delivered > 0


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A webhook that fails every other time; its address and what it accepted."""
    accepted: list[tuple[dict[str, str], bytes]] = []
    calls = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            failing = next(calls) % 2 == 0
            if not failing:
                accepted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(503 if failing else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", accepted
        server.shutdown()
        thread.join()


async def test_a_webhook_is_signed_and_tried_until_it_accepts(
    operations: Operations,
    sante: Connection,
    tmp_path: Path,
    receiver: tuple[str, list[tuple[dict[str, str], bytes]]],
) -> None:
    receipt, _ = await asyncio.to_thread(filed, operations)
    url, accepted = receiver
    with Journal(tmp_path / "journal") as journal:
        async with httpx.AsyncClient() as client:
            delivered = await read(sante, journal, Webhook(url, SECRET, client))
            assert await read(sante, journal, Webhook(url, SECRET, client)) == 0
    assert len(accepted) == delivered == len({headers["ce-id"] for headers, _ in accepted})
    complaints = [(headers, body) for headers, body in accepted if headers["ce-type"] == FORWARDED]
    headers, body = complaints[-1]
    assert json.loads(body)["reference"] == receipt["reference"]
    signed, now = headers["chikaya-signature"], int(time.time())
    assert signature_is_valid(SECRET, body, signed, now)
    assert not signature_is_valid(SECRET, body + b" ", signed, now)
    assert not signature_is_valid(b"another", body, signed, now)
    assert not signature_is_valid(SECRET, body, signed, now + 400), "too old"
    assert not signature_is_valid(SECRET, body, "nonsense", now)


async def test_a_wrong_password_is_said(sante: Connection, tmp_path: Path) -> None:
    stranger = Connection(**{**vars(sante), "password": "guess"})
    with Journal(tmp_path / "journal") as journal, pytest.raises(KafkaFailed):
        await read(stranger, journal, Sqlite(journal))


def test_the_consumer_of_the_documentation_keeps_complaints_and_acknowledges_them(
    operations: Operations, tmp_path: Path
) -> None:
    receipt, _ = filed(operations)
    page = (CHECKOUT / "docs" / "administrations.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    program, database = tmp_path / "consumer.py", tmp_path / "complaints.sqlite"
    program.write_text(block[1], "utf-8")
    running = subprocess.Popen([sys.executable, program, operations.folder / "sante.json", database])
    try:
        wait_until(lambda: status(operations, receipt) == "acknowledged")
        later, _ = filed(operations)
        wait_until(lambda: status(operations, later) == "acknowledged")
    finally:
        running.terminate()
        running.wait(20)
    kept = sqlite3.connect(database)
    references = [json.loads(data)["reference"] for (data,) in kept.execute("SELECT data FROM complaints")]
    kept.close()
    assert references.count(receipt["reference"]) == 1


async def test_expired_records_are_said_and_never_passed_over(
    operations: Operations, sante: Connection, tmp_path: Path
) -> None:
    with Journal(tmp_path / "journal") as journal:
        await read(sante, journal, Sqlite(journal))
        place = journal.next_offset(INBOX) or 0
        for _ in range(2):
            await asyncio.to_thread(filed, operations)
        admin = AdminClient({"bootstrap.servers": operations.stand.kafka.bootstrap_servers})
        for future in admin.delete_records([TopicPartition(INBOX, 0, place + 1)]).values():
            future.result()
        with pytest.raises(RecordsExpired):
            await read(sante, journal, Sqlite(journal))
