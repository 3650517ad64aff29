"""Every handler of every service, fed each input twice with fresh offsets and sequences, does everything once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from services.classifier.handlers import ClassifyComplaints
from services.classifier.model.serving import ServedModel
from services.dispatcher import registry_store
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases
from services.notifier.domain.notices import AddressBook
from services.notifier.handlers import PlanNotifications
from services.tracker.handlers import project
from shared.contracts.administrations import registry
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import (
    AssignmentState,
    CaseChanged,
    Channel,
    CitizenActed,
    Complainant,
    ComplaintSubmitted,
    DeliveryState,
    Kind,
    NotificationRecorded,
    PersonalContent,
    PreferredContact,
)
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change, CitizenAction
from shared.contracts.topics import CITIZEN_ACTIONS, CLASSIFIED, DELIVERIES, LIFECYCLE, SUBMITTED, Topic
from shared.messaging.inbox import Handler, Inbox
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.testing.builders import NOON, classified_event, records_of, submitted_event
from shared.testing.stores import Stores, trusted_database


def complaint() -> Event[ComplaintSubmitted]:
    event = submitted_event()
    content = PersonalContent(subject="Hôpital", text="Aucun médecin", complainant=Complainant(phone="+212600000000"))
    personal = event.data.personal.model_copy(update={"content": content})
    update = {"personal": personal, "preferred_contact": PreferredContact.SMS}
    return replace(event, data=event.data.model_copy(update=update))


def forwarded(submitted: Event[ComplaintSubmitted]) -> Event[CaseChanged]:
    assignment = AssignmentState(
        assignment_id=uuid4(),
        administration="sante",
        status=AssignmentStatus.FORWARDED,
        assigned_at=NOON,
        status_since=NOON,
    )
    data = CaseChanged(
        complaint_id=submitted.subject,
        reference=submitted.data.reference,
        version=2,
        change=Change.FORWARDED,
        status=CaseStatus.FORWARDED,
        received_at=NOON,
        changed_at=NOON,
        kind=Kind.COMPLAINT,
        assignments=(assignment,),
        deadlines=Policy.load().deadlines(NOON),
    )
    return submitted.derive("assign", "/chikaya/dispatcher", NOON, data)


def written(submitted: Event[ComplaintSubmitted]) -> Event[CitizenActed]:
    return acted(submitted, CitizenAction.MESSAGE)


def rated(submitted: Event[ComplaintSubmitted]) -> Event[CitizenActed]:
    """There is no answer to rate yet: refused."""
    return acted(submitted, CitizenAction.RATING)


def acted(submitted: Event[ComplaintSubmitted], action: CitizenAction) -> Event[CitizenActed]:
    data = CitizenActed(
        complaint_id=submitted.subject,
        action=action,
        acted_at=NOON,
        channel=Channel.WEB,
        satisfied=True,
        personal=submitted.data.personal,
    )
    event_id = derived_id(submitted.id, action)
    return Event(event_id, "/chikaya/intake", submitted.subject, NOON, event_id, data)


def told(submitted: Event[ComplaintSubmitted]) -> Event[NotificationRecorded]:
    data = NotificationRecorded(
        message_id=uuid4(),
        complaint_id=submitted.subject,
        template="received",
        channel="sms",
        state=DeliveryState.SENT,
        at=NOON,
    )
    return submitted.derive("notify", "/chikaya/notifier", NOON, data)


@dataclass(frozen=True)
class Case:
    """A service's handler, its tables, and what it is fed: (topic, the event that follows from a submission)."""

    service: str
    handler: Callable[[], Handler]
    tables: Sequence[str]
    inputs: Sequence[tuple[Topic, Callable[[Event[ComplaintSubmitted]], AnyEvent]]]


def as_it_is(submitted: Event[ComplaintSubmitted]) -> AnyEvent:
    return submitted


CASES = [
    Case(
        "classifier",
        lambda: ClassifyComplaints(ServedModel()),
        ("classifications", "triage_items"),
        [(SUBMITTED, as_it_is)],
    ),
    Case(
        "dispatcher",
        lambda: AdvanceCases(Policy.load(), SystemClock()),
        ("cases", "assignments", "messages"),
        [(SUBMITTED, as_it_is), (CLASSIFIED, classified_event), (CITIZEN_ACTIONS, written), (CITIZEN_ACTIONS, rated)],
    ),
    Case(
        "dispatcher",
        lambda: AdvanceCases(Policy.load(), SystemClock()),
        ("cases", "assignments", "messages"),
        [(CITIZEN_ACTIONS, written), (CLASSIFIED, classified_event), (SUBMITTED, as_it_is)],
    ),
    Case(
        "tracker",
        lambda: project,
        (
            *("complaints", "timeline", "complaint_words", "weekly_statistics", "waiting_statistics"),
            *("duration_statistics", "state_statistics", "live_changes"),
        ),
        [(LIFECYCLE, forwarded), (DELIVERIES, told), (SUBMITTED, as_it_is)],
    ),
    Case(
        "notifier",
        lambda: PlanNotifications(AddressBook(), SystemClock()),
        ("contacts", "messages", "deliveries"),
        [(LIFECYCLE, forwarded), (SUBMITTED, as_it_is)],
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.service}-{case.inputs[0][0].name}-first")
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def url(stores: Stores, case: Case) -> str:
    return stores.database(case.service)


async def test_each_input_twice_is_each_input_once(url: str, case: Case) -> None:
    database = await trusted_database(url)
    if case.service == "dispatcher":
        await database.run(lambda connection: registry_store.seed(connection, registry().values()))
    events = tuple(event for topic, _ in case.inputs for event in topic.events)
    inbox = Inbox(case.service, case.service, Outbox(database), case.handler(), events)
    await inbox.register({(topic.name, number): 0 for number, (topic, _) in enumerate(case.inputs)})
    submissions = [complaint() for _ in range(5)]

    async def feed(position: int) -> None:
        for number, (topic, make) in enumerate(case.inputs):
            made = derived.setdefault(number, [make(submission) for submission in submissions])
            records = records_of(topic, made, partition=number, offset=position, sequence=position + 1)
            await inbox.commit({(topic.name, number): records}, {(topic.name, number): position})

    async def everything() -> list[list[tuple[object, ...]]]:
        tables = (*case.tables, "outbox", "journal_events", "unhandled_records")
        return [sorted(map(tuple, await database.fetch(f"SELECT * FROM {table}")), key=repr) for table in tables]

    derived: dict[int, list[AnyEvent]] = {}
    await feed(0)
    once = await everything()
    await feed(5)
    assert await everything() == once
    assert once[0], "the handler did something"
    assert not once[-1], "nothing was held"
    await database.close()
