"""The inbox on a real PostgreSQL: each record once in effect, and the four outcomes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest

from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import CLASSIFIED, SUBMITTED, administration_outbox, administration_rejected
from shared.database.pool import Connection, Database
from shared.messaging.codec import Outgoing, Record, encode
from shared.messaging.inbox import Inbox, PositionWentBack, TooManyUnreadable
from shared.messaging.outbox import Outbox
from shared.testing.builders import records_of, submitted_event
from shared.testing.stores import Stores, trusted_database

PARTITION = (SUBMITTED.name, 0)


@dataclass
class Stand:
    """An inbox whose handler notes what it saw and answers each event with another."""

    database: Database
    inbox: Inbox
    failing: set[UUID] = field(default_factory=set)

    async def seen(self) -> list[UUID]:
        return [row["event_id"] for row in await self.database.fetch("SELECT event_id FROM seen ORDER BY place")]

    async def count(self, table: str) -> int:
        rows = await self.database.fetch(f"SELECT count(*) AS number FROM {table}")
        return int(rows[0]["number"])

    async def feed(self, records: Sequence[Record], expected: int = 0) -> int:
        return (await self.inbox.commit({PARTITION: records}, {PARTITION: expected}))[PARTITION]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def stand(url: str) -> AsyncIterator[Stand]:
    database = await trusted_database(url)
    await database.fetch("CREATE TABLE seen (place bigint GENERATED ALWAYS AS IDENTITY, event_id uuid)")

    async def handle(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        for event in events:
            await connection.execute("INSERT INTO seen (event_id) VALUES ($1)", event.id)
            if event.id in stand.failing:
                raise ValueError("this event cannot be handled")
        return [encode(SUBMITTED, event.derive("answer", "/test", event.time, event.data)) for event in events]

    stand = Stand(database, Inbox("tracker", "test", Outbox(database), handle, SUBMITTED.events, proof=("answer",)))
    await stand.inbox.register({PARTITION: 0})
    yield stand
    await database.close()


async def test_a_batch_is_handled_once_whoever_brings_it_again(stand: Stand) -> None:
    events = [submitted_event() for _ in range(3)]
    records = records_of(SUBMITTED, events)
    assert await stand.feed(records) == 3
    assert await stand.feed(records) == 3, "a zombie that was slower does nothing"
    again = records_of(SUBMITTED, events, offset=3)
    assert await stand.feed(again, expected=3) == 6, "a run sent again has the same sequences at new offsets"
    assert await stand.seen() == [event.id for event in events]
    assert await stand.count("outbox") == 3


async def test_an_input_whose_events_were_restored_is_skipped(stand: Stand) -> None:
    event = submitted_event()
    await stand.feed(records_of(SUBMITTED, [event]))
    await stand.feed(records_of(SUBMITTED, [event], offset=1, sequence=9), expected=1)
    assert await stand.seen() == [event.id]


async def test_offsets_may_have_gaps(stand: Stand) -> None:
    events = [submitted_event(), submitted_event()]
    records = records_of(SUBMITTED, events)
    records[1] = replace(records[1], offset=7)
    assert await stand.feed(records) == 8
    assert len(await stand.seen()) == 2


async def test_a_position_behind_what_was_handled_is_reported_and_nothing_done(stand: Stand) -> None:
    with pytest.raises(PositionWentBack):
        await stand.feed(records_of(SUBMITTED, [submitted_event()], offset=5), expected=5)
    assert await stand.seen() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, value=b"{"),
        lambda r: replace(r, value=None),
        lambda r: replace(r, value=b"\xff\xfe"),
        lambda r: replace(r, headers=()),
        lambda r: replace(r, headers=tuple(h for h in r.headers if h[0] != "ce_id")),
        lambda r: replace(r, headers=tuple(h for h in r.headers if h[0] != "ce_sequence")),
        lambda r: replace(r, headers=(*r.headers, ("ce_type", b"ma.chikaya.unknown.v1"))),
        lambda r: replace(r, headers=(*r.headers, ("x", b"\xff"))),
    ],
)
async def test_an_unreadable_record_is_dead_with_its_origin_and_stops_nobody(stand: Stand, spoil: object) -> None:
    events = [submitted_event() for _ in range(3)]
    records = records_of(SUBMITTED, events)
    assert callable(spoil)
    records[1] = spoil(records[1])
    assert await stand.feed(records) == 3
    assert await stand.seen() == [events[0].id, events[2].id]
    dead = await stand.database.fetch("SELECT topic, partition, kafka_offset, state FROM unhandled_records")
    assert [tuple(row) for row in dead] == [(SUBMITTED.name, 0, 1, "dead")]
    copies = await stand.database.fetch("SELECT headers FROM outbox WHERE topic = 'tracker.dlq'")
    assert '"dlq_origin_offset","1"' in copies[0]["headers"]


async def test_a_broken_writer_stops_its_partition(stand: Stand) -> None:
    records = [replace(r, value=b"no") for r in records_of(SUBMITTED, [submitted_event() for _ in range(120)])]
    with pytest.raises(TooManyUnreadable):
        await stand.feed(records)
    assert await stand.count("unhandled_records") == 0


async def test_a_failing_record_is_held_and_its_key_waits_while_others_go_on(stand: Stand) -> None:
    complaint = uuid4()
    bad, other = submitted_event(complaint_id=complaint), submitted_event()
    later = replace(submitted_event(complaint_id=complaint), id=uuid4())
    stand.failing.add(bad.id)
    assert await stand.feed(records_of(SUBMITTED, [bad, other, later])) == 3
    last = replace(submitted_event(complaint_id=complaint), id=uuid4())
    await stand.feed(records_of(SUBMITTED, [last], offset=3, sequence=4), expected=3)
    assert await stand.seen() == [other.id]

    assert await stand.inbox.retry_held(at_once=True) == 0
    stand.failing.clear()
    assert await stand.inbox.retry_held() == 0, "not before its time"
    assert await stand.inbox.retry_held(at_once=True) == 3
    assert await stand.seen() == [other.id, bad.id, later.id, last.id]
    assert await stand.count("unhandled_records") == 0


async def test_two_instances_on_one_complaint_work_one_after_the_other(stand: Stand) -> None:
    """Its records in two topics may be in the hands of two instances: the second must see what the first did."""
    event = submitted_event()
    steps: list[str] = []
    first_is_inside = asyncio.Event()

    def inbox(name: str) -> Inbox:
        async def handle(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
            steps.append(f"{name} begins")
            first_is_inside.set()
            await asyncio.sleep(0.3)
            steps.append(f"{name} ends")
            return []

        return Inbox("tracker", "test", Outbox(stand.database), handle, SUBMITTED.events)

    other = (CLASSIFIED.name, 0)
    await stand.inbox.register({other: 0})
    record = records_of(SUBMITTED, [event])[0]
    first = asyncio.create_task(inbox("first").commit({PARTITION: [record]}, {PARTITION: 0}))
    await first_is_inside.wait()
    await inbox("second").commit({other: [replace(record, topic=CLASSIFIED.name)]}, {other: 0})
    await first
    assert steps == ["first begins", "first ends", "second begins", "second ends"]


@dataclass
class Outside:
    """An inbox for records that an administration wrote; its handler fails for those in `failing`."""

    inbox: Inbox
    failing: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


OUTSIDE = administration_outbox("sante")
OUTSIDE_PARTITION = (OUTSIDE.name, 0)


@pytest.fixture
async def outside(stand: Stand) -> Outside:
    async def handle(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        if outside.failing & {event.external_id for event in events}:
            raise ValueError("this event cannot be handled")
        outside.seen += [event.external_id or "" for event in events]
        return []

    def refuse(record: Record, reason: str) -> Outgoing:
        outside.refused.append((record.offset, reason))
        return Outgoing(administration_rejected("sante").name, 0, b"", (), b"{}")

    inbox = Inbox("tracker", "outside", Outbox(stand.database), handle, OUTSIDE.events, refuse=refuse)
    await inbox.register({OUTSIDE_PARTITION: 0})
    outside = Outside(inbox)
    return outside


def reply(offset: int) -> Record:
    headers = {"ce_specversion": "1.0", "ce_id": f"reply-{offset}", "ce_time": "2026-03-02T12:00:00Z"}
    headers |= {"ce_type": OUTSIDE.events[0].TYPE}
    value = b'{"assignment_id": "%s", "action": "acknowledged"}' % str(uuid4()).encode()
    return Record(OUTSIDE.name, 0, offset, None, tuple((n, v.encode()) for n, v in headers.items()), value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, headers=tuple((name, b"") for name, _ in r.headers)),
        lambda r: replace(r, headers=()),
        lambda r: replace(r, headers=(*r.headers, ("ce_id", b"\xff\xfe"))),
        lambda r: replace(r, headers=(*r.headers, ("ce_id", b"nul\x00inside"))),
        lambda r: replace(r, headers=(*r.headers, ("ce_time", b"9999-99-99"))),
        lambda r: replace(r, headers=(*r.headers, ("content-type", b"application/cloudevents+json"))),
        lambda r: replace(r, value=b"[" * 500_000),
        lambda r: replace(r, value=r.value[:-1] + b', "text": "\\u0000"}'),
        lambda r: replace(r, value=b"\xff\xfe"),
        lambda r: replace(r, value=None),
    ],
)
async def test_a_hostile_record_is_refused_and_stops_nobody(stand: Stand, outside: Outside, spoil: object) -> None:
    assert callable(spoil)
    records = [reply(0), spoil(reply(1)), reply(2)]
    assert await outside.inbox.commit({OUTSIDE_PARTITION: records}, {OUTSIDE_PARTITION: 0}) == {OUTSIDE_PARTITION: 3}
    assert outside.seen == ["reply-0", "reply-2"]
    assert [offset for offset, _ in outside.refused] == [1]
    assert await stand.count("unhandled_records") == 0


async def test_a_held_record_without_a_key_holds_up_no_other(stand: Stand, outside: Outside) -> None:
    outside.failing.add("reply-1")
    await outside.inbox.commit({OUTSIDE_PARTITION: [reply(0), reply(1), reply(2)]}, {OUTSIDE_PARTITION: 0})
    assert outside.seen == ["reply-0", "reply-2"]
    outside.failing.clear()
    assert await outside.inbox.retry_held(at_once=True) == 1
    assert outside.seen == ["reply-0", "reply-2", "reply-1"]
    assert await stand.count("unhandled_records") == 0
