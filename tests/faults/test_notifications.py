"""The notifier killed in the middle of sending: every message arrives whole; what was under way may arrive twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.provisioning import provision_topics
from services.notifier.domain.notices import AddressBook
from services.notifier.handlers import PlanNotifications
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import Language, PreferredContact
from shared.database.migrations import migrate
from shared.database.pool import Connection, Database, incarnation_of
from shared.runtime.clock import SystemClock
from shared.testing.builders import changed_event, reachable, submitted_event
from shared.testing.providers import TestSmsc, TestSmtp
from shared.testing.services import RunningServices
from shared.testing.waiting import until

LANGUAGES = (Language.AR, Language.FR, Language.EN, Language.ZGH)
WINDOW = 16
CONNECTIONS = 4
_PLANNED_AT_ONCE = 500


def phone(number: int) -> str:
    return f"2126{number:08d}"


def news(count: int) -> list[AnyEvent]:
    """Forwarded complaints of citizens who are told by SMS, and as many by e-mail."""
    events: list[AnyEvent] = []
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        by_sms = reachable(submitted_event(), PreferredContact.SMS, phone=f"+{phone(number)}", language=language)
        address = f"citizen{number}@exemple.ma"
        by_email = reachable(submitted_event(), PreferredContact.EMAIL, email=address, language=language)
        events += (by_sms, changed_event(by_sms), by_email, changed_event(by_email))
    return events


async def plan(url: str, events: list[AnyEvent]) -> None:
    """Plans the messages before the service runs."""
    database = Database(url)
    await database.open()
    connection = await database.connect()
    database.trust(await incarnation_of(connection))
    await connection.close()
    handler = PlanNotifications(AddressBook(), SystemClock())
    for start in range(0, len(events), _PLANNED_AT_ONCE):

        async def work(connection: Connection, start: int = start) -> None:
            assert await handler(connection, events[start : start + _PLANNED_AT_ONCE]) == []

        await database.run(work)
    await database.close()


async def reached(smsc: TestSmsc, smtp: TestSmtp, share: float, count: int) -> None:
    """Returns once so much of both kinds was accepted, all of it whole. Raises AssertionError."""

    def enough() -> bool:
        if len(smsc.reached) < share * count or len(smtp.raw) < share * count:
            return False
        return share < 1.0 or (len(smsc.messages()) == len(smtp.messages()) == count)

    await until(enough, 240)


@pytest.fixture
def stores() -> Iterator[tuple[str, str]]:
    """(bootstrap servers, URL of the notifier's database) of stores with nothing in them."""
    with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
        url = postgres.create_database("notifier")
        migrate(url, "notifier")
        provision_topics(kafka.bootstrap_servers)
        yield kafka.bootstrap_servers, url


@pytest.mark.timeout(600)
async def test_a_killed_notifier_loses_no_message(
    stores: tuple[str, str], tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap_servers, url = stores
    count, kills = (5_000, 5) if full else (250, 2)
    smsc, smtp = TestSmsc(answer_after=0.02), TestSmtp(answer_after=0.02)
    await smsc.start()
    await smtp.start()
    settings = {
        "SMPP_HOST": "127.0.0.1",
        "SMPP_PORT": smsc.port,
        "SMPP_WINDOW": WINDOW,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": smtp.port,
        "SMTP_SECURITY": "none",
        "SMTP_CONNECTIONS": CONNECTIONS,
        "ATTEMPT_SECONDS": 2,
        "RETRY_SECONDS": 0.2,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"CHIKAYA_{name}", str(value))
    await plan(url, news(count))
    services = RunningServices(bootstrap_servers, {"notifier": url}, {"notifier": free_port()}, tmp_path)
    services.start("notifier")
    try:
        for number in range(1, kills + 1):
            await reached(smsc, smtp, number / (kills + 2), count)
            services.kill("notifier")
        await reached(smsc, smtp, 1.0, count)
    finally:
        await asyncio.to_thread(services.stop)
    texts, letters = smsc.messages(), smtp.messages()
    assert {number for number, _ in texts} == {phone(number) for number in range(count)}
    assert len(texts) == count, "each whole, and the same at every attempt"
    assert len(letters) == count
    doubled = texts.total() - count, letters.total() - count
    print(f"{kills} kills, {count} SMS and e-mails each: {doubled[0]} SMS and {doubled[1]} e-mails twice")
    assert doubled[0] <= kills * WINDOW, "only what was under way at a kill"
    assert doubled[1] <= kills * CONNECTIONS
    await smsc.die()
    await smtp.die()
