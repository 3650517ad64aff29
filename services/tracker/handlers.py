"""Projects what the other services say into the read model. Events may come in any order across topics."""

from collections.abc import Sequence

from services.tracker import store
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import ActionRefused, CaseChanged, ComplaintSubmitted, DeliveryState, NotificationRecorded
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing

_SHOWN = (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED)


async def project(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Handles submissions, lifecycle and deliveries; nothing follows from them."""
    submitted = [event for event in events if isinstance(event.data, ComplaintSubmitted)]
    changed = [event for event in events if isinstance(event.data, CaseChanged)]
    recorded = [e for e in events if isinstance(e.data, NotificationRecorded)]
    refused = [event for event in events if isinstance(event.data, ActionRefused)]
    if submitted:
        await store.project_submitted(connection, sorted(submitted, key=lambda event: event.subject))
    if changed:
        await store.project_changed(connection, changed)
    entries = [(e.subject, e.id, e.data.at, f"notification_{e.data.state}") for e in recorded if e.data.state in _SHOWN]
    entries += [(e.subject, e.id, e.data.refused_at, "action_refused") for e in refused]
    if entries:
        await store.add_to_timeline(connection, entries)
    return []
