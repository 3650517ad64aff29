"""Events and records for tests, with defaults for what a test does not care about."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import (
    AssignmentState,
    CaseChanged,
    Channel,
    ClearPersonalData,
    Complainant,
    ComplaintClassified,
    ComplaintSubmitted,
    Deadlines,
    Decision,
    Kind,
    Language,
    Nature,
    PersonalContent,
    PreferredContact,
)
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change
from shared.contracts.reference import reference
from shared.contracts.topics import Topic
from shared.messaging.codec import Record, encode

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def submitted_event(
    text: str = "Aucun médecin à l'hôpital", complaint_id: UUID | None = None, subject: str = "Hôpital"
) -> Event[ComplaintSubmitted]:
    """A complaint as intake publishes it."""
    complaint_id = complaint_id or uuid4()
    data = ComplaintSubmitted(
        complaint_id=complaint_id,
        reference=reference(NOON.date(), complaint_id.int % 10**8),
        received_at=NOON,
        kind=Kind.COMPLAINT,
        channel=Channel.WEB,
        access_code_key="k1",
        access_code_issue=1,
        personal=ClearPersonalData(content=PersonalContent(subject=subject, text=text)),
    )
    return Event(complaint_id, "/chikaya/intake", complaint_id, NOON, causation_id=uuid4(), data=data)


def classified_event(
    submitted: Event[ComplaintSubmitted],
    decision: Decision = Decision.ROUTE,
    administration: str | None = "sante",
    nature: Nature = Nature.AVAILABILITY,
) -> Event[ComplaintClassified]:
    """The classification of a complaint as the classifier publishes it, at the moment of its submission."""
    data = ComplaintClassified(
        complaint_id=submitted.subject,
        decision=decision,
        administration=administration,
        nature=nature,
        kind=Kind.COMPLAINT,
        model_version="test",
    )
    return submitted.derive("classify", "/chikaya/classifier", submitted.time, data)


def records_of(
    topic: Topic, events: Sequence[AnyEvent], *, partition: int = 0, offset: int = 0, sequence: int = 1
) -> list[Record]:
    """The events as consumed from one partition, with offsets and sequences counted up."""
    found = []
    for number, event in enumerate(events):
        outgoing = encode(topic, event)
        headers = (*outgoing.headers, ("ce_sequence", str(sequence + number).encode()))
        found.append(Record(topic.name, partition, offset + number, outgoing.key, headers, outgoing.value))
    return found


def reachable(
    submitted: Event[ComplaintSubmitted],
    preferred: PreferredContact,
    *,
    phone: str | None = None,
    email: str | None = None,
    language: Language | None = None,
) -> Event[ComplaintSubmitted]:
    """The submission of a citizen who wants to be told."""
    given = Complainant(name="Amina El Idrissi", phone=phone, email=email)
    assert isinstance(submitted.data.personal, ClearPersonalData)
    content = submitted.data.personal.content.model_copy(update={"complainant": given})
    update = {
        "personal": ClearPersonalData(content=content),
        "preferred_contact": preferred,
        "language": language,
    }
    return replace(submitted, data=submitted.data.model_copy(update=update))


def changed_event(
    submitted: Event[ComplaintSubmitted], change: Change = Change.FORWARDED, administration: str = "sante", day: int = 1
) -> Event[CaseChanged]:
    """A change of a complaint's case, so many days after its receipt."""
    now = NOON + timedelta(days=day)
    assignment = AssignmentState(
        assignment_id=submitted.subject,
        administration=administration,
        status=AssignmentStatus.FORWARDED,
        assigned_at=now,
        status_since=now,
    )
    data = CaseChanged(
        complaint_id=submitted.subject,
        reference=submitted.data.reference,
        version=day + 1,
        change=change,
        status=CaseStatus.FORWARDED,
        received_at=NOON,
        changed_at=now,
        kind=Kind.COMPLAINT,
        assignments=(assignment,),
        deadlines=Deadlines(forward_by=NOON + timedelta(days=15), answer_by=NOON + timedelta(days=60), policy="test"),
    )
    return submitted.derive(f"{change}-{day}", "/chikaya/dispatcher", now, data)
