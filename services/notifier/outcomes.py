"""What providers said becomes rows and events: many outcomes, one commit."""

from collections.abc import Sequence
from datetime import timedelta
from random import random
from uuid import UUID

import structlog

from services.notifier.domain.notices import CITIZEN, SOURCE, AddressBook, ways_in_order
from services.notifier.domain.sending import Accepted, Outcome, Postponed, Receipt, RetryPolicy
from services.notifier.handlers import delivery_id_of
from services.notifier.store import deliveries
from services.notifier.store.deliveries import Claimed, Details, Mark, NewDelivery
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import DeliveryState, NotificationRecorded
from shared.contracts.topics import DELIVERIES
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox
from shared.runtime.clock import Clock

log = structlog.get_logger(__name__)

_EVENTS = {"sent": DeliveryState.SENT, "delivered": DeliveryState.DELIVERED, "parked": DeliveryState.FAILED}


class RecordOutcomes:
    """Marks claimed deliveries by their outcomes, falls back to the next channel, and says what became of them."""

    def __init__(self, outbox: Outbox, addresses: AddressBook, policy: RetryPolicy, clock: Clock) -> None:
        self._outbox = outbox
        self._addresses = addresses
        self._policy = policy
        self._clock = clock

    async def claim(self, channel: str, lease: timedelta, limit: int) -> list[Claimed]:
        """Takes deliveries that are due on a channel."""

        async def work(connection: Connection) -> tuple[list[Claimed], list[Outgoing]]:
            return await deliveries.claim(connection, channel, self._clock.now(), lease, limit), []

        return await self._outbox.commit(work)

    async def settle(self, outcomes: Sequence[tuple[Claimed, Outcome]]) -> Sequence[None]:
        """Commits a group of outcomes."""

        async def work(connection: Connection) -> tuple[list[None], list[Outgoing]]:
            now = self._clock.now()
            await deliveries.take_turn(connection)
            marks = [self._mark(claimed, outcome) for claimed, outcome in outcomes]
            held = await deliveries.mark(connection, marks, now)
            changed = [m.claimed.delivery_id for m in marks if m.state != "due" and m.claimed.delivery_id in held]
            said = await self._say(connection, changed)
            said += await self._say(connection, await deliveries.conclude(connection, changed, now))
            return [None for _ in outcomes], said

        return await self._outbox.commit(work)

    async def receive(self, receipts: Sequence[Receipt]) -> Sequence[None]:
        """Commits a group of delivery receipts."""

        async def work(connection: Connection) -> tuple[list[None], list[Outgoing]]:
            now = self._clock.now()
            await deliveries.take_turn(connection)
            about = await deliveries.put_receipts(connection, receipts, now)
            ended = await deliveries.conclude(connection, about, now)
            return [None for _ in receipts], await self._say(connection, ended)

        return await self._outbox.commit(work)

    async def resend(self, delivery_id: UUID) -> bool:
        """Makes a delivery due again as if it were new; False when there is none, or it is due anyway."""

        async def work(connection: Connection) -> tuple[bool, list[Outgoing]]:
            return await deliveries.resend(connection, delivery_id, self._clock.now()), []

        return await self._outbox.commit(work)

    def _mark(self, claimed: Claimed, outcome: Outcome) -> Mark:
        now = self._clock.now()
        if isinstance(outcome, Accepted):
            return Mark(claimed, "sent", now, None)
        if isinstance(outcome, Postponed):
            again = self._policy.next_attempt(outcome, claimed.attempts, claimed.since, now, random())
            if again is not None:
                return Mark(claimed, "due", again, outcome.reason)
        return Mark(claimed, "parked", now, outcome.reason)

    async def _say(self, connection: Connection, delivery_ids: Sequence[UUID]) -> list[Outgoing]:
        """The events of deliveries that got their state just now; a parked one gives way to the next channel."""
        if not delivery_ids:
            return []
        ended = await deliveries.details(connection, delivery_ids)
        replaced = await self._fall_back(connection, [one for one in ended if one.state == "parked"])
        for one in ended:
            if one.state == "parked":
                log.warning(
                    "delivery_failed", delivery_id=str(one.delivery_id), fallen_back=one.delivery_id in replaced
                )
        return [
            encode(DELIVERIES, self._recorded(one))
            for one in ended
            if one.recipient == CITIZEN and one.delivery_id not in replaced
        ]

    async def _fall_back(self, connection: Connection, parked: Sequence[Details]) -> set[UUID]:
        """Tries the next channel that was not tried; the deliveries in whose place one is."""
        by_message = {(one.event_id, one.recipient): one for one in parked}
        new = []
        for one in parked:
            known = self._addresses.known(one.recipient, one.addresses)
            for way in ways_in_order(one.ways, one.channel, known):
                if way != one.channel:
                    delivery_id = delivery_id_of(one.event_id, one.recipient, way)
                    new.append(
                        NewDelivery(
                            delivery_id, one.event_id, one.recipient, way, one.complaint_id, at=self._clock.now()
                        )
                    )
        if not new:
            return set()
        replaced = [by_message[key].delivery_id for key in await deliveries.put(connection, new)]
        await deliveries.mark_fallen_back(connection, replaced)
        return set(replaced)

    def _recorded(self, one: Details) -> Event[NotificationRecorded]:
        now = self._clock.now()
        data = NotificationRecorded(
            message_id=one.event_id,
            complaint_id=one.complaint_id,
            template=one.template,
            channel=one.channel,
            state=_EVENTS[one.state],
            at=now,
        )
        # Sent again by an operator, a delivery gets the same state again: the moment tells the two apart.
        event_id = derived_id(one.delivery_id, f"{one.state}-{now.isoformat()}")
        return Event(event_id, SOURCE, one.complaint_id, now, causation_id=one.event_id, data=data)
