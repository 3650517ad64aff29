"""Submissions give contacts, changes of a case give messages; a message goes out once its contact is known.

The only channel so far is the log: it says what would be sent, never to whom.
"""

from collections.abc import Sequence

import structlog

from services.notifier import store
from services.notifier.domain import SOURCE, contact_of, template_of
from services.notifier.store import Message
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import CaseChanged, ComplaintSubmitted, DeliveryState, NotificationRecorded
from shared.contracts.topics import DELIVERIES
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.runtime.clock import Clock

log = structlog.get_logger(__name__)


class NotifyCitizens:
    """Handles `complaints.submitted` and `complaints.lifecycle`, in any order of the two."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        contacts = [contact_of(event.data) for event in events if isinstance(event.data, ComplaintSubmitted)]
        messages = [
            (event.id, event.subject, template, event.data.changed_at)
            for event in events
            if isinstance(event.data, CaseChanged) and (template := template_of(event)) is not None
        ]
        if contacts:
            await store.put_contacts(connection, contacts)
        if messages:
            await store.put_messages(connection, messages)
        deliverable = await store.take_deliverable(connection, [event.subject for event in events])
        return [encode(DELIVERIES, self._deliver(message)) for message in deliverable]

    def _deliver(self, message: Message) -> Event[NotificationRecorded]:
        now = self._clock.now()
        state = DeliveryState.NOT_WANTED if message.address is None else DeliveryState.SENT
        if state is DeliveryState.SENT:
            log.info("message_sent", complaint_id=str(message.complaint_id), template=message.template)
        data = NotificationRecorded(
            message_id=message.event_id,
            complaint_id=message.complaint_id,
            template=message.template,
            channel=message.preferred,
            state=state,
            at=now,
        )
        event_id = derived_id(message.event_id, "notify")
        return Event(event_id, SOURCE, message.complaint_id, now, causation_id=message.event_id, data=data)


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Marks messages as told from their own events."""
    rows = [
        (e.data.message_id, e.subject, e.data.template, e.data.at, e.data.state.value)
        for e in events
        if isinstance(e.data, NotificationRecorded)
    ]
    if rows:
        await store.restore(connection, list({row[0]: row for row in rows}.values()))
    return ()
