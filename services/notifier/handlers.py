"""Submissions and citizens' actions give contacts, changes of a case give messages; planned in one transaction.

A message is planned once the submission of its complaint is known: it becomes a delivery on its first channel. Nothing
is sent here: see `services.notifier.delivery`.
"""

from collections.abc import Sequence
from uuid import UUID

from services.notifier.domain.notices import (
    CITIZEN,
    SOURCE,
    AddressBook,
    contact_changed,
    contact_given,
    messages_of,
    refusal_of,
    ways_in_order,
)
from services.notifier.store import deliveries, messages
from services.notifier.store.deliveries import NewDelivery
from services.notifier.store.messages import Plannable
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import (
    ActionRefused,
    CaseChanged,
    CitizenActed,
    ComplaintSubmitted,
    DeliveryState,
    NotificationRecorded,
)
from shared.contracts.lifecycle import CitizenAction
from shared.contracts.topics import DELIVERIES
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.runtime.clock import Clock


class PlanNotifications:
    """Handles `complaints.submitted`, `complaints.citizen-actions` and `complaints.lifecycle`, in any order."""

    def __init__(self, addresses: AddressBook, clock: Clock) -> None:
        self._addresses = addresses
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        submitted = [event.data for event in events if isinstance(event.data, ComplaintSubmitted)]
        contacts = [contact_given(data) for data in submitted]
        contacts += [
            contact_changed(event.data)
            for event in events
            if isinstance(event.data, CitizenActed) and event.data.action is CitizenAction.CONTACT
        ]
        news = [message for e in events if isinstance(e.data, CaseChanged) for message in messages_of(e)]
        news += [refusal_of(event) for event in events if isinstance(event.data, ActionRefused)]
        if submitted:
            await messages.put_submitted(connection, submitted)
        if contacts:
            await messages.put_contacts(connection, contacts)
        if news:
            await messages.put_messages(connection, news)
        return await self._plan(connection, events)

    async def _plan(self, connection: Connection, events: Sequence[AnyEvent]) -> list[Outgoing]:
        now = self._clock.now()
        new: list[NewDelivery] = []
        unwanted: list[Plannable] = []
        for message in await messages.take_plannable(connection, {event.subject for event in events}):
            known = self._addresses.known(message.recipient, message.addresses)
            ways = ways_in_order(message.ways, message.preferred, known)
            if ways:
                delivery_id = delivery_id_of(message.event_id, message.recipient, ways[0])
                complaint_id = message.complaint_id
                new.append(NewDelivery(delivery_id, message.event_id, message.recipient, ways[0], complaint_id, at=now))
            else:
                unwanted.append(message)
        if new:
            await deliveries.put(connection, new)
        if unwanted:
            await messages.mark_not_wanted(connection, unwanted)
        return [encode(DELIVERIES, self._not_wanted(m)) for m in unwanted if m.recipient == CITIZEN]

    def _not_wanted(self, message: Plannable) -> Event[NotificationRecorded]:
        now = self._clock.now()
        data = NotificationRecorded(
            message_id=message.event_id,
            complaint_id=message.complaint_id,
            template=message.template,
            channel=message.preferred,
            state=DeliveryState.NOT_WANTED,
            at=now,
        )
        event_id = derived_id(message.event_id, "notify")
        return Event(event_id, SOURCE, message.complaint_id, now, causation_id=message.event_id, data=data)


def delivery_id_of(event_id: UUID, recipient: str, channel: str) -> UUID:
    """One id per (event, recipient, channel)."""
    return derived_id(event_id, f"{recipient}-{channel}")


_RESTORED = {
    DeliveryState.SENT: "sent",
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.FAILED: "parked",
}


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Marks citizens' messages as told, or as in vain, from their own events. The last event of a message counts."""
    records = {e.data.message_id: e.data for e in events if isinstance(e.data, NotificationRecorded)}
    told = [
        (
            data.message_id,
            data.complaint_id,
            data.template,
            data.at,
            "not_wanted" if data.state is DeliveryState.NOT_WANTED else "planned",
        )
        for data in records.values()
    ]
    if told:
        await messages.restore(connection, told)
    made = [
        (
            delivery_id_of(data.message_id, CITIZEN, data.channel),
            data.message_id,
            data.channel,
            data.complaint_id,
            _RESTORED[data.state],
            data.at,
        )
        for data in records.values()
        if data.state is not DeliveryState.NOT_WANTED
    ]
    if made:
        await deliveries.restore(connection, made)
    return ()
