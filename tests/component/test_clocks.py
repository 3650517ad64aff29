"""Months of cases with a moved clock, on a real PostgreSQL, against a calculation of its own.

From a December into March: across the year's end and across Ramadan, when Morocco's clocks go back an hour.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from services.dispatcher import registry_store
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases, ApplyReplies, FireTimers
from shared.contracts.administrations import registry
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import (
    AdministrationReplied,
    CaseChanged,
    Channel,
    CitizenActed,
    ClearPersonalData,
    ComplaintSubmitted,
    Decision,
    Nature,
    PersonalContent,
)
from shared.contracts.lifecycle import CitizenAction, ReplyAction
from shared.contracts.reference import reference
from shared.contracts.topics import LIFECYCLE
from shared.database.pool import Connection, Database
from shared.messaging.codec import Outgoing
from shared.messaging.inbox import Handler
from shared.messaging.outbox import Outbox
from shared.testing.builders import classified_event, submitted_event
from shared.testing.stores import Stores, trusted_database

POLICY = Policy.load()
FIRST_DAY = date(2026, 12, 8)
DAYS_OF_ARRIVALS = 31
LAST_DAY = FIRST_DAY + timedelta(days=DAYS_OF_ARRIVALS + 95)
RAMADAN = (date(2027, 2, 7), date(2027, 3, 14))
"""The Sundays on which Morocco leaves UTC+1 and returns to it in 2027, as announced for Ramadan 1448."""

AT_ONCE = 250

Told = list[tuple[str, int]]
"""(change, day after receipt) in order."""


def instant(day: date, at: time) -> datetime:
    """A moment on Moroccan clocks as UTC, by the table above and nothing else (no moment used is near a shift)."""
    in_ramadan = RAMADAN[0] <= day < RAMADAN[1]
    return datetime.combine(day, at, timezone(timedelta(hours=0 if in_ramadan else 1))).astimezone(UTC)


def day_of(moment: datetime) -> date:
    """The date on Moroccan clocks."""
    utc = moment.astimezone(UTC)
    shifted = utc + timedelta(hours=1)
    return utc.date() if RAMADAN[0] <= shifted.date() < RAMADAN[1] else shifted.date()


@dataclass
class MovedClock:
    moment: datetime

    def now(self) -> datetime:
        return self.moment


@dataclass
class World:
    """The dispatcher's handlers on a database, under a clock that the test moves."""

    database: Database
    clock: MovedClock
    states: dict[UUID, CaseChanged] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.database)
        self.timers = FireTimers(self.outbox, POLICY, self.clock)
        self.cases = AdvanceCases(POLICY, self.clock)
        self.replies = ApplyReplies(POLICY, self.clock)

    async def feed(self, handler: Handler, events: Sequence[AnyEvent]) -> None:
        for start in range(0, len(events), AT_ONCE):
            part = events[start : start + AT_ONCE]

            async def work(connection: Connection, part: Sequence[AnyEvent] = part) -> tuple[None, Sequence[Outgoing]]:
                return None, await handler(connection, part)

            await self.outbox.commit(work)

    async def assignment(self, complaint_id: UUID) -> tuple[UUID, str]:
        rows = await self.database.fetch(
            "SELECT a ->> 'assignment_id' AS id, a ->> 'administration' AS code "
            "FROM cases, jsonb_array_elements(state -> 'assignments') AS a WHERE complaint_id = $1",
            complaint_id,
        )
        return UUID(rows[0]["id"]), rows[0]["code"]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("dispatcher")


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    database = await trusted_database(url)
    await database.run(lambda connection: registry_store.seed(connection, registry().values()))
    yield World(database, MovedClock(instant(FIRST_DAY, time(0, 0, 1))))
    await database.close()


@dataclass(frozen=True)
class Script:
    """What happens to a case, and what is told of it, each with its day after receipt."""

    name: str
    decision: Decision | None
    code: str | None = "sante"
    nature: Nature = Nature.DELAY
    replies: dict[int, ReplyAction] = field(default_factory=dict)
    actions: dict[int, CitizenAction] = field(default_factory=dict)
    told: Callable[[], Told] = list


def clock_of_answer(deadline: int) -> Told:
    return [
        ("answer_deadline_approaching", deadline - 5),
        ("answer_deadline_approaching", deadline - 1),
        ("answer_deadline_missed", deadline + 1),
        ("escalated", deadline + 7),
        ("escalated", deadline + 30),
    ]


ROUTE, TRIAGE = Decision.ROUTE, Decision.TRIAGE
SCRIPTS = (
    Script("ignored", ROUTE, told=lambda: [("forwarded", 0), *clock_of_answer(60)]),
    Script("parked", ROUTE, "energie", told=lambda: [("parked", 0), ("forwarded", 10), *clock_of_answer(60)]),
    Script(
        "in triage for ever",
        TRIAGE,
        None,
        told=lambda: [("sent_to_triage", 0), ("triage_overdue", 12), ("forwarded", 14), *clock_of_answer(60)],
    ),
    Script("never classified", None, told=lambda: [("triage_overdue", 12), ("forwarded", 14), *clock_of_answer(60)]),
    Script(
        "misrouted",
        ROUTE,
        replies={3: ReplyAction.NOT_OURS, 20: ReplyAction.ANSWERED},
        told=lambda: [
            ("forwarded", 0),
            ("returned", 3),
            ("triage_overdue", 5),
            ("forwarded", 7),
            ("answered", 20),
            ("closed", 36),
        ],
    ),
    Script(
        "reopened",
        ROUTE,
        replies={10: ReplyAction.ANSWERED},
        actions={12: CitizenAction.REOPENING},
        told=lambda: [
            ("forwarded", 0),
            ("answered", 10),
            ("reopened", 12),
            *clock_of_answer(42),
        ],
    ),
    Script(
        "question left open",
        ROUTE,
        replies={5: ReplyAction.QUESTION},
        told=lambda: [("forwarded", 0), ("citizen_asked", 5), ("question_expired", 16), *clock_of_answer(60)],
    ),
    Script(
        "question answered, closed at once",
        ROUTE,
        replies={5: ReplyAction.QUESTION, 9: ReplyAction.CLOSURE_PROPOSED},
        actions={7: CitizenAction.MESSAGE},
        told=lambda: [
            ("forwarded", 0),
            ("citizen_asked", 5),
            ("citizen_wrote", 7),
            ("closure_proposed", 9),
            ("closed", 17),
        ],
    ),
    Script(
        "withdrawn", ROUTE, actions={7: CitizenAction.WITHDRAWAL}, told=lambda: [("forwarded", 0), ("withdrawn", 7)]
    ),
    Script("danger", ROUTE, nature=Nature.SAFETY, told=lambda: [("forwarded", 0), *clock_of_answer(30)]),
)


@dataclass(frozen=True)
class Filed:
    script: Script
    event: Event[ComplaintSubmitted]

    @property
    def day(self) -> date:
        return day_of(self.event.data.received_at)


def filings(number: int, seed: int) -> list[Filed]:
    """Cases of every script, received at any time of any day of the month."""
    chance = random.Random(seed)
    found = []
    for index in range(number):
        day = FIRST_DAY + timedelta(days=chance.randrange(DAYS_OF_ARRIVALS))
        at = (datetime.combine(day, time(0, 1)) + timedelta(seconds=chance.randrange(23 * 3600 + 48 * 60))).time()
        received = instant(day, at)
        complaint_id = uuid4()
        event = submitted_event(complaint_id=complaint_id)
        data = event.data.model_copy(update={"received_at": received, "reference": reference(day, index)})
        found.append(Filed(SCRIPTS[index % len(SCRIPTS)], replace(event, time=received, data=data)))
    return found


async def live(world: World, filed: Sequence[Filed]) -> None:
    """Moves the clock through the days: a second after midnight, noon, and ten minutes before midnight."""
    waiting = sorted(filed, key=lambda one: one.event.data.received_at)
    by_day: dict[date, list[Filed]] = {}
    for one in filed:
        for day in {*one.script.replies, *one.script.actions}:
            by_day.setdefault(one.day + timedelta(days=day), []).append(one)
    today = FIRST_DAY
    while today <= LAST_DAY:
        for at in (time(0, 0, 1), time(12, 0), time(23, 50)):
            world.clock.moment = instant(today, at)
            while await world.timers.fire_due():
                pass
            arrived = [one for one in waiting if one.event.data.received_at <= world.clock.moment]
            waiting = waiting[len(arrived) :]
            await world.feed(world.cases, [event for one in arrived for event in first_events(one)])
            if at == time(12, 0):
                await act(world, by_day.get(today, []), today)
        today += timedelta(days=1)


def first_events(one: Filed) -> list[AnyEvent]:
    script = one.script
    if script.decision is None:
        return [one.event]
    return [one.event, classified_event(one.event, script.decision, script.code, script.nature)]


async def act(world: World, filed: Sequence[Filed], today: date) -> None:
    replies: list[AnyEvent] = []
    actions: list[AnyEvent] = []
    for one in filed:
        day = (today - one.day).days
        if day in one.script.replies:
            replies.append(await reply(world, one, one.script.replies[day]))
        if day in one.script.actions:
            actions.append(acted(world, one, one.script.actions[day]))
    if replies:
        await world.feed(world.replies, replies)
    await world.feed(world.cases, actions)


async def reply(world: World, one: Filed, action: ReplyAction) -> AnyEvent:
    assignment_id, code = await world.assignment(one.event.subject)
    event_id = derived_id(one.event.id, action)
    data = AdministrationReplied(assignment_id=assignment_id, action=action, text="Voici.")
    source = f"administrations.{code}.outbox"
    return Event(event_id, source, event_id, world.clock.now(), event_id, data, external_id=str(event_id))


def acted(world: World, one: Filed, action: CitizenAction) -> AnyEvent:
    now = world.clock.now()
    data = CitizenActed(
        complaint_id=one.event.subject,
        action=action,
        acted_at=now,
        channel=Channel.WEB,
        personal=ClearPersonalData(content=PersonalContent(subject="", text="Voici.")),
    )
    event_id = derived_id(one.event.id, action)
    return Event(event_id, "/chikaya/intake", one.event.subject, now, event_id, data)


async def told(world: World) -> dict[UUID, list[CaseChanged]]:
    """What the lifecycle tells of each case, in order."""
    found: dict[UUID, list[CaseChanged]] = {}
    rows = await world.database.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", LIFECYCLE.name)
    for row in rows:
        state = CaseChanged.model_validate_json(row["value"])
        found.setdefault(state.complaint_id, []).append(state)
    return found


@pytest.mark.timeout(1200)
async def test_every_deadline_is_told_once_and_on_its_day(world: World, full: bool) -> None:
    filed = filings(20_000 if full else 200, seed=1447)
    await live(world, filed)
    history = await told(world)
    for one in filed:
        states = history[one.event.subject]
        assert [state.version for state in states] == list(range(1, len(states) + 1))
        days = [(state.change.value, (day_of(state.changed_at) - one.day).days) for state in states]
        assert days == [("opened", 0), *one.script.told()], one.script.name
        first = next(state for state in states if state.assignments and state.change.value == "forwarded")
        assert (day_of(first.changed_at) - one.day).days < 15
    notices = await world.database.fetch(
        "SELECT count(*) AS all, count(DISTINCT event_id) AS distinct FROM outbox WHERE topic LIKE 'administrations.%'"
    )
    assert notices[0]["all"] == notices[0]["distinct"] > len(filed)


async def test_timers_that_were_missed_fire_once_each_and_in_order(world: World) -> None:
    """Everything stood still for a hundred days."""
    filed = filings(len(SCRIPTS), seed=7)
    world.clock.moment = instant(FIRST_DAY + timedelta(days=DAYS_OF_ARRIVALS), time(12, 0))
    await world.feed(world.cases, [one.event for one in filed])
    world.clock.moment = instant(LAST_DAY + timedelta(days=30), time(12, 0))
    while await world.timers.fire_due():
        pass
    expected = [
        ("opened"),
        ("triage_overdue"),
        ("forwarded"),
        ("answer_deadline_approaching"),
        ("answer_deadline_approaching"),
        ("answer_deadline_missed"),
        ("escalated"),
        ("escalated"),
    ]
    for states in (await told(world)).values():
        assert [state.change.value for state in states] == expected


async def test_two_instances_fire_each_timer_once(world: World) -> None:
    filed = filings(100, seed=8)
    world.clock.moment = instant(FIRST_DAY + timedelta(days=DAYS_OF_ARRIVALS), time(12, 0))
    await world.feed(world.cases, [one.event for one in filed])
    world.clock.moment = instant(LAST_DAY, time(12, 0))
    other = FireTimers(Outbox(world.database), POLICY, world.clock)

    async def drain(timers: FireTimers) -> None:
        while await timers.fire_due():
            pass

    await asyncio.gather(drain(world.timers), drain(other))
    await drain(world.timers)
    for states in (await told(world)).values():
        assert [state.version for state in states] == list(range(1, 9))
