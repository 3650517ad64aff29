"""The notifier on a real PostgreSQL, against an SMSC and an SMTP server that misbehave."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import uuid4

import httpx
import pytest
from aiosmtplib import SMTP
from fastapi import FastAPI
from smpp34 import Client

from services.notifier.api import make_router
from services.notifier.channels.channel import Channel
from services.notifier.channels.smpp import SmppChannel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.delivery import Deliver
from services.notifier.domain.notices import AddressBook
from services.notifier.domain.sending import Circuit, Receipt, RetryPolicy
from services.notifier.handlers import PlanNotifications, restore
from services.notifier.outcomes import RecordOutcomes
from services.notifier.rendering import Renderer
from services.notifier.store.deliveries import DeliveryLog
from services.notifier.wording import Words
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import (
    Channel as FiledThrough,
)
from shared.contracts.events import (
    CitizenActed,
    ClearPersonalData,
    Complainant,
    ComplaintSubmitted,
    Language,
    NotificationRecorded,
    PersonalContent,
    PreferredContact,
)
from shared.contracts.lifecycle import Change, CitizenAction
from shared.contracts.reference import AccessCodes
from shared.contracts.topics import DELIVERIES
from shared.database.group_commit import GroupCommit
from shared.database.pool import Connection, Database, incarnation_of
from shared.messaging.codec import Outgoing
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.runtime.problems import install_problem_handlers
from shared.testing.builders import NOON, changed_event, reachable, submitted_event
from shared.testing.providers import Misbehaviour, TestSmsc, TestSmtp
from shared.testing.stores import Stores

CLOCK = SystemClock()
CODES = AccessCodes({"k1": b"key of a test"}, current="k1")
ADDRESSES = AddressBook("operations@chikaya.test", {"sante": "bureau@sante.test"})
LANGUAGES = (Language.AR, Language.FR, Language.EN, Language.ZGH)
TOKEN = "operations-of-a-test"
SHORTLY = timedelta(milliseconds=50)


def circuit(window: int) -> Circuit:
    """One whose pauses are short."""
    return Circuit(window, pause=SHORTLY, longest=4 * SHORTLY, throttled=SHORTLY)


@dataclass
class Notifier:
    """The service's parts without Kafka, on one database and two providers."""

    database: Database
    smsc: TestSmsc
    smtp: TestSmtp
    patience: timedelta = timedelta(hours=1)
    concatenation: Literal["udh", "sar"] = "udh"
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def handle(self, *events: AnyEvent) -> None:
        """Handles events in one transaction."""

        async def work(connection: Connection) -> tuple[None, Sequence[Outgoing]]:
            return None, await PlanNotifications(ADDRESSES, CLOCK)(connection, events)

        await Outbox(self.database).commit(work)

    @property
    def outcomes(self) -> RecordOutcomes:
        policy = RetryPolicy(SHORTLY, self.patience, throttled=SHORTLY)
        return RecordOutcomes(Outbox(self.database), ADDRESSES, policy, CLOCK)

    def start(self, window: int = 32, attempt: timedelta = timedelta(seconds=5)) -> None:
        """Delivers until `stop`."""
        outcomes = self.outcomes
        receipts: GroupCommit[Receipt, None] = GroupCommit(outcomes.receive)
        words = Words(Renderer("https://chikaya.test"), CODES)

        def client() -> Client:
            return Client("127.0.0.1", self.smsc.port, "test", "secret", window_size=window)

        def connection() -> SMTP:
            return SMTP(hostname="127.0.0.1", port=self.smtp.port, start_tls=False, timeout=5)

        channels: list[tuple[Channel, int]] = [
            (SmppChannel(client, receipts.submit, source="Chikaya", concatenation=self.concatenation), window),
            (SmtpChannel(connection, CLOCK, sender="no-reply@chikaya.test", unsubscribe="mailto:stop@chikaya.test"), 8),
        ]
        tasks = [
            Deliver(channel, outcomes, words, ADDRESSES, CLOCK, circuit(size), attempt).run
            for channel, size in channels
        ]
        self._stopping.clear()
        self._tasks = [asyncio.create_task(task(self._stopping)) for task in (*tasks, receipts.run_until)]

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        self._tasks = []

    async def states(self) -> Counter[tuple[str, str]]:
        """(channel, state) of all deliveries."""
        rows = await self.database.fetch("SELECT channel, state FROM deliveries")
        return Counter((row["channel"], row["state"]) for row in rows)

    async def until(self, condition: Callable[[Counter[tuple[str, str]]], bool], seconds: float = 30.0) -> None:
        """Returns once the states of the deliveries are so. Raises AssertionError when they never are."""
        give_up_at = asyncio.get_running_loop().time() + seconds
        while not condition(states := await self.states()):
            rows = await self.database.fetch("SELECT DISTINCT last_error FROM deliveries")
            assert asyncio.get_running_loop().time() < give_up_at, (states, [row[0] for row in rows])
            await asyncio.sleep(0.05)

    async def recorded(self) -> list[NotificationRecorded]:
        """What was said of deliveries, in order."""
        rows = await self.database.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", DELIVERIES.name)
        return [NotificationRecorded.model_validate_json(row["value"]) for row in rows]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("notifier")


@pytest.fixture
async def notifier(url: str) -> AsyncIterator[Notifier]:
    database = Database(url)
    await database.open()
    connection = await database.connect()
    database.trust(await incarnation_of(connection))
    await connection.close()
    smsc, smtp = TestSmsc(), TestSmtp()
    await smsc.start()
    await smtp.start()
    running = Notifier(database, smsc, smtp)
    yield running
    await running.stop()
    await smsc.die()
    await smtp.die()
    await database.close()


def phone(number: int) -> str:
    return f"2126{number:08d}"


def by_sms(number: int = 0, email: str | None = None, language: Language | None = None) -> Event[ComplaintSubmitted]:
    wanted = PreferredContact.SMS
    return reachable(submitted_event(), wanted, phone=f"+{phone(number)}", email=email, language=language)


def by_email(email: str, sms: str | None = None, language: Language | None = None) -> Event[ComplaintSubmitted]:
    return reachable(submitted_event(), PreferredContact.EMAIL, phone=sms, email=email, language=language)


def done(states: Counter[tuple[str, str]]) -> bool:
    return all(state in ("sent", "delivered") for _, state in states) and states[("sms", "sent")] == 0


@pytest.mark.parametrize("concatenation", ["udh", "sar"])
async def test_the_receipt_arrives_whole_by_sms_and_its_delivery_is_told(
    notifier: Notifier, concatenation: Literal["udh", "sar"]
) -> None:
    notifier.concatenation = concatenation
    submitted = by_sms(7, language=Language.ARY)
    await notifier.handle(submitted, changed_event(submitted, Change.OPENED, day=0))
    notifier.start()
    await notifier.until(lambda states: states == {("sms", "delivered"): 1})
    ((number, text),) = notifier.smsc.messages()
    assert number == phone(7)
    assert submitted.data.reference in text
    assert CODES.code(submitted.subject, "k1", 1) in text
    assert "شكايتكم" in text
    told = await notifier.recorded()
    assert [(one.state, one.channel, one.template) for one in told] == [
        ("sent", "sms", "received"),
        ("delivered", "sms", "received"),
    ]
    assert {one.message_id for one in told} == {changed_event(submitted, Change.OPENED, day=0).id}


async def test_a_mail_has_both_parts_and_can_be_stopped(notifier: Notifier) -> None:
    submitted = by_email("amina@exemple.ma", language=Language.AR)
    await notifier.handle(submitted, changed_event(submitted))
    notifier.start()
    await notifier.until(lambda states: states == {("email", "sent"): 1})
    (mail,) = notifier.smtp.mails()
    assert mail["To"] == "amina@exemple.ma"
    assert mail["List-Unsubscribe"] == "<mailto:stop@chikaya.test>"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "وزارة الصحة" in text.get_content()
    assert 'dir="rtl"' in html.get_content()
    assert "Aucun médecin" not in html.get_content() + text.get_content(), "never what the citizen wrote"


async def test_operations_and_the_administration_are_told_by_mail(notifier: Notifier) -> None:
    submitted = submitted_event()
    await notifier.handle(submitted, changed_event(submitted, Change.ESCALATED))
    notifier.start()
    await notifier.until(lambda states: states == {("email", "sent"): 2})
    assert {mail["To"] for mail in notifier.smtp.mails()} == {"operations@chikaya.test", "bureau@sante.test"}
    assert await notifier.recorded() == [], "only what goes to citizens shows to them"


async def test_a_citizen_who_wants_no_messages_gets_none(notifier: Notifier) -> None:
    anonymous = submitted_event()
    await notifier.handle(anonymous, changed_event(anonymous))
    assert await notifier.states() == {}
    assert [one.state for one in await notifier.recorded()] == ["not_wanted"]


async def test_the_wait_of_a_parked_complaint_ends_with_other_words(notifier: Notifier) -> None:
    submitted = by_sms()
    news = [changed_event(submitted, Change.PARKED, day=1), changed_event(submitted, Change.FORWARDED, day=2)]
    again = changed_event(submitted, Change.FORWARDED, day=3)
    await notifier.handle(submitted, *news)
    await notifier.handle(again)
    rows = await notifier.database.fetch("SELECT template FROM messages ORDER BY happened_at")
    assert [row["template"] for row in rows] == ["parked", "released", "forwarded"]


@pytest.mark.parametrize("contact_first", [False, True])
async def test_the_newest_contact_counts_whatever_came_first(notifier: Notifier, contact_first: bool) -> None:
    submitted = by_sms(1)
    given = Complainant(email="new@exemple.ma")
    acted = CitizenActed(
        complaint_id=submitted.subject,
        action=CitizenAction.CONTACT,
        acted_at=NOON + timedelta(hours=1),
        channel=FiledThrough.WEB,
        preferred_contact=PreferredContact.EMAIL,
        personal=ClearPersonalData(content=PersonalContent(subject="", text="", complainant=given)),
    )
    event = Event(uuid4(), "/chikaya/intake", submitted.subject, NOON, causation_id=uuid4(), data=acted)
    order: list[AnyEvent] = [event, submitted] if contact_first else [submitted, event]
    for one in order:
        await notifier.handle(one)
    await notifier.handle(changed_event(submitted))
    notifier.start()
    await notifier.until(lambda states: states == {("email", "sent"): 1})
    assert [mail["To"] for mail in notifier.smtp.mails()] == ["new@exemple.ma"]


async def test_a_hard_failure_falls_back_to_the_other_channel(notifier: Notifier) -> None:
    notifier.smsc.refused = frozenset({phone(1)})
    notifier.smsc.undeliverable = frozenset({phone(2)})
    notifier.smtp.refused = frozenset({"gone@exemple.ma"})
    complaints = [
        by_sms(1, email="one@exemple.ma"),
        by_sms(2, email="two@exemple.ma"),
        by_email("gone@exemple.ma", sms=f"+{phone(3)}"),
    ]
    await notifier.handle(*complaints, *(changed_event(one) for one in complaints))
    notifier.start()
    expected = {("sms", "failed"): 2, ("email", "failed"): 1, ("email", "sent"): 2, ("sms", "delivered"): 1}
    await notifier.until(lambda states: states == expected)
    assert {mail["To"] for mail in notifier.smtp.mails()} == {"one@exemple.ma", "two@exemple.ma"}
    assert {one.state for one in await notifier.recorded()} == {"sent", "delivered"}


async def test_who_cannot_be_reached_is_parked_shown_and_sent_again_on_demand(notifier: Notifier) -> None:
    notifier.smsc.refused = frozenset({phone(1)})
    submitted = by_sms(1)
    await notifier.handle(submitted, changed_event(submitted))
    notifier.start()
    await notifier.until(lambda states: states == {("sms", "parked"): 1})
    app = FastAPI()
    install_problem_handlers(app, ())
    app.include_router(make_router(DeliveryLog(notifier.database), notifier.outcomes, TOKEN))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as operations:
        assert (await operations.get("/v1/notifications")).status_code == 401
        operations.headers["Authorization"] = f"Bearer {TOKEN}"
        answer = await operations.get("/v1/notifications", params={"state": "parked"})
        (row,) = answer.json()["notifications"]
        assert (row["reference"], row["last_error"]) == (submitted.data.reference, "command_status 0x0000000b")
        assert phone(1) not in answer.text
        notifier.smsc.refused = frozenset()
        again = f"/v1/notifications/{row['delivery_id']}/resend"
        assert (await operations.post(again)).status_code == 202
        await notifier.until(lambda states: states == {("sms", "delivered"): 1})
        assert (await operations.post(f"/v1/notifications/{uuid4()}/resend")).status_code == 409
    assert [one.state for one in await notifier.recorded()] == ["failed", "sent", "delivered"]


async def test_after_its_patience_a_message_is_given_up(notifier: Notifier) -> None:
    notifier.patience = timedelta(milliseconds=200)
    notifier.smtp.script = lambda number: "451"
    submitted = by_email("amina@exemple.ma")
    await notifier.handle(submitted, changed_event(submitted))
    notifier.start()
    await notifier.until(lambda states: states == {("email", "parked"): 1})
    assert notifier.smtp.received > 1


async def test_no_address_is_logged_or_said(notifier: Notifier, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "mail.log")
    notifier.smtp.refused = frozenset({"secret@exemple.ma"})
    notifier.smsc.refused = frozenset({phone(99)})
    one, other = by_email("secret@exemple.ma"), by_sms(99)
    await notifier.handle(one, other, changed_event(one), changed_event(other))
    notifier.start()
    await notifier.until(lambda states: states == {("email", "parked"): 1, ("sms", "parked"): 1})
    rows = await notifier.database.fetch("SELECT * FROM outbox")
    kept = await notifier.database.fetch("SELECT last_error FROM deliveries")
    said = f"{[tuple(row) for row in (*rows, *kept)]} {caplog.text}"
    assert "secret@exemple.ma" not in said
    assert phone(99) not in said


def faults(number: int) -> Misbehaviour:
    """Every tenth message or so meets one; throttling comes in runs."""
    if number % 100 in range(40, 46):
        return "88"
    wrong: dict[int, Misbehaviour] = {7: "20", 13: "8", 29: "drop", 53: "lose", 71: "69"}
    return wrong.get(number % 100)


def mail_faults(number: int) -> Misbehaviour:
    wrong: dict[int, Misbehaviour] = {7: "421", 13: "451", 29: "drop", 53: "lose", 71: "452"}
    return wrong.get(number % 100)


async def test_nothing_is_lost_and_only_lost_answers_double(notifier: Notifier, full: bool) -> None:
    count = 2_000 if full else 150
    notifier.smsc.script, notifier.smtp.script = faults, mail_faults
    complaints = [by_sms(n, language=LANGUAGES[n % 4]) for n in range(count)]
    mails = [by_email(f"citizen{n}@exemple.ma", language=LANGUAGES[n % 4]) for n in range(count)]
    await notifier.handle(*complaints, *mails, *(changed_event(one) for one in (*complaints, *mails)))
    notifier.start()
    await asyncio.sleep(0.3)
    await notifier.smsc.die()
    await notifier.smtp.die()
    await asyncio.sleep(0.5)
    await notifier.smsc.start()
    await notifier.smtp.start()
    # A receipt may be lost with its connection: its message stays `sent`.
    await notifier.until(lambda states: {state for _, state in states} <= {"sent", "delivered"}, seconds=120)
    texts = notifier.smsc.messages()
    assert {number for number, _ in texts} == {phone(n) for n in range(count)}
    assert len(texts) == count, "each whole, and the same at every attempt"
    letters = notifier.smtp.messages()
    assert len(letters) == count
    assert texts.total() - count <= notifier.smsc.lost_answers
    assert letters.total() - count <= notifier.smtp.lost_answers


async def test_an_answer_that_never_comes_is_not_waited_for(notifier: Notifier) -> None:
    notifier.smsc.script = lambda number: "hold" if number == 2 else None
    submitted = by_sms(1, language=Language.FR)
    await notifier.handle(submitted, changed_event(submitted))
    notifier.start(attempt=timedelta(milliseconds=300))
    await notifier.until(lambda states: states == {("sms", "delivered"): 1})
    ((_, text),) = notifier.smsc.messages()
    assert "transmise" in text
    assert notifier.smsc.messages().total() == 1, "the part accepted before is not sent again"


async def test_told_messages_are_not_told_again_after_a_restore(notifier: Notifier) -> None:
    submitted, mailed = by_sms(1), by_email("amina@exemple.ma")
    news = [changed_event(submitted), changed_event(mailed)]
    await notifier.handle(submitted, mailed, *news)
    notifier.start()
    await notifier.until(done)
    said = await notifier.recorded()
    await notifier.database.fetch("TRUNCATE contacts, messages, deliveries, parts, receipts")
    events = [Event(uuid4(), "", one.complaint_id, NOON, one.message_id, one) for one in said]
    await notifier.database.run(lambda connection: restore(connection, events))
    await notifier.handle(submitted, mailed, *news)
    await asyncio.sleep(0.6)
    assert notifier.smsc.messages().total() == len(notifier.smtp.mails()) == 1
    assert await notifier.states() == {("sms", "delivered"): 1, ("email", "sent"): 1}
