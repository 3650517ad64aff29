"""Projects what the other services say into the read model. Events may come in any order across topics."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.tracker.domain.complaint import (
    Complaint,
    Entry,
    entry_of_change,
    entry_of_notification,
)
from services.tracker.domain.search import vector_of, words
from services.tracker.domain.statistics import Sums, facts_of, state_of
from services.tracker.store import projection
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import (
    ActionRefused,
    CaseChanged,
    ClearPersonalData,
    ComplaintSubmitted,
    DeliveryState,
    NotificationRecorded,
)
from shared.contracts.wording import ACTION_REFUSED
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing

_SHOWN = (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED)


async def project(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Handles submissions, lifecycle and deliveries; nothing follows from them.

    Each complaint is folded in memory and written once, with the differences of the statistics it stands in.
    """
    of_rows = [event for event in events if isinstance(event.data, ComplaintSubmitted | CaseChanged)]
    before = await projection.load(connection, {event.subject for event in of_rows}) if of_rows else {}
    after = {complaint_id: replace(complaint) for complaint_id, complaint in before.items()}
    for event in of_rows:
        fold(after.setdefault(event.subject, Complaint(event.subject)), event)
    await projection.save(connection, [row for key, row in after.items() if before.get(key) != row])
    entries = [entry for event in events if (entry := entry_of(event)) is not None]
    if entries:
        await projection.add_to_timeline(connection, entries)
    submitted = [event.data for event in events if isinstance(event.data, ComplaintSubmitted)]
    found = [(data.complaint_id, data.received_at, vector) for data in submitted if (vector := words_of(data))]
    if found:
        await projection.add_words(connection, found)
    await projection.add_sums(connection, _difference(before, after))
    return []


def fold(complaint: Complaint, event: AnyEvent) -> None:
    """Folds an event into its row."""
    if isinstance(event.data, ComplaintSubmitted):
        complaint.submitted(event.data)
    elif isinstance(event.data, CaseChanged):
        complaint.changed(event.data)


def entry_of(event: AnyEvent) -> Entry | None:
    """The timeline entry of an event; None for one that leaves none."""
    if isinstance(event.data, CaseChanged):
        return entry_of_change(event)
    if isinstance(event.data, NotificationRecorded) and event.data.state in _SHOWN:
        return entry_of_notification(event)
    if isinstance(event.data, ActionRefused):
        return Entry(event.subject, event.id, event.data.refused_at, None, ACTION_REFUSED)
    return None


def words_of(data: ComplaintSubmitted) -> str:
    """The words a complaint is found by, as a tsvector literal; none while its text is sealed."""
    if not isinstance(data.personal, ClearPersonalData):
        return ""
    return vector_of(words(f"{data.personal.content.subject} {data.personal.content.text}"))


def _difference(before: dict[UUID, Complaint], after: dict[UUID, Complaint]) -> Sums:
    sums = Sums()
    for key, row in after.items():
        known = before.get(key)
        sums.replace(None if known is None else facts_of(known), facts_of(row))
        sums.move(None if known is None else state_of(known), state_of(row))
    return sums
