"""Sends what is due on one channel: claim, send outside any transaction, then write down what the provider said.

Why nothing is lost, and what may come twice: a claim is a lease. A process that dies between claim and mark leaves the
delivery due again when the lease runs out. If the provider had accepted it by then, it is sent twice: SMS and e-mail
are at-least-once. Nothing is marked as sent before the provider accepted it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from random import random

import structlog

from services.notifier.channels.channel import Channel, Outbound
from services.notifier.domain.notices import AddressBook
from services.notifier.domain.sending import Blame, Circuit, Outcome, Postponed, Refused
from services.notifier.outcomes import RecordOutcomes
from services.notifier.rendering import CannotRender, Rendered
from services.notifier.store.deliveries import Claimed
from shared.database.group_commit import GroupCommit
from shared.database.pool import is_transient
from shared.runtime.clock import Clock

log = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 0.25

Render = Callable[[Claimed], Rendered]


class Deliver:
    """Delivers on one channel, as `circuit` allows; `attempt` bounds the time of one message. Run as a task."""

    def __init__(
        self,
        channel: Channel,
        outcomes: RecordOutcomes,
        render: Render,
        addresses: AddressBook,
        clock: Clock,
        circuit: Circuit,
        attempt: timedelta,
    ) -> None:
        self._channel = channel
        self._outcomes = outcomes
        self._render = render
        self._addresses = addresses
        self._clock = clock
        self._circuit = circuit
        self._attempt = attempt
        self._marks: GroupCommit[tuple[Claimed, Outcome], None] = GroupCommit(outcomes.settle)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Delivers until `stopping` is set; what is under way then is finished and marked."""
        marking = asyncio.create_task(self._marks.run())
        try:
            while not stopping.is_set():
                if not await self._start_due():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_SECONDS)
            if self._under_way:
                await asyncio.wait(self._under_way)
        finally:
            marking.cancel()
            await self._channel.close()

    async def _start_due(self) -> bool:
        """Starts what is due as far as the provider's window allows. False when it is time to pause."""
        allowance = self._circuit.allowance(self._clock.now())
        free = allowance - len(self._under_way)
        if allowance > 0 and free < max(1, allowance // 4):
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return True
        if free <= 0:
            return False
        try:
            # Twice the time of an attempt: its outcome is written down well before anybody else may take it.
            claimed = await self._outcomes.claim(self._channel.name, 2 * self._attempt, free)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("claim_postponed", channel=self._channel.name, error=repr(error))
            return False
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(claimed)

    async def _deliver(self, claimed: Claimed) -> None:
        outcome = await self._outcome(claimed)
        was_broken = self._circuit.broken
        self._circuit.note(outcome, self._clock.now(), random())
        if self._circuit.broken != was_broken:
            log.warning("provider_state", channel=self._channel.name, left_alone=self._circuit.broken)
        try:
            await self._marks.submit((claimed, outcome))
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("outcome_not_written", delivery_id=str(claimed.delivery_id), error=repr(error))

    async def _outcome(self, claimed: Claimed) -> Outcome:
        given = {"sms": claimed.phone, "email": claimed.email}
        known = self._addresses.known(claimed.recipient, {way: to for way, to in given.items() if to})
        address = known.get(claimed.channel)
        if address is None:
            return Refused("no-address")
        try:
            rendered = self._render(claimed)
            outbound = Outbound(
                claimed.delivery_id, claimed.complaint_id, claimed.template, address, rendered, parts=claimed.parts
            )
            async with asyncio.timeout(self._attempt.total_seconds()):
                return await self._channel.send(outbound)
        except TimeoutError:
            return Postponed(Blame.PROVIDER, "no-answer")
        except CannotRender as error:
            log.error("cannot_render", delivery_id=str(claimed.delivery_id), error=str(error))
            return Postponed(Blame.MESSAGE, "cannot-render")
        except Exception as error:
            # One message that cannot be handled stops no other; the error's text may hold an address, so only its type.
            log.error("message_failed", delivery_id=str(claimed.delivery_id), error=type(error).__name__)
            return Postponed(Blame.MESSAGE, type(error).__name__)
