"""The clocks: fires what is due in the database, whatever happened in between."""

import asyncio
from datetime import datetime

from services.dispatcher import registry_store, store
from services.dispatcher.domain.case import SOURCE
from services.dispatcher.domain.clocks import Policy, Timer
from services.dispatcher.domain.directory import Directory
from services.dispatcher.domain.timers import NOTICES, fire
from services.dispatcher.handlers import records
from services.dispatcher.store import StoredCase
from shared.contracts.envelope import Event, derived_id
from shared.contracts.lifecycle import Change
from shared.contracts.topics import LIFECYCLE
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat

_TIMERS_AT_ONCE = 200
_LOOK_EVERY_SECONDS = 1.0


class FireTimers:
    """Fires the timers of cases when they are due, in order. Run as a task."""

    def __init__(self, outbox: Outbox, policy: Policy, clock: Clock) -> None:
        self._outbox = outbox
        self._policy = policy
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every second until `stopping` is set."""

        async def look() -> bool:
            return await self.fire_due() == _TIMERS_AT_ONCE

        await repeat(look, _LOOK_EVERY_SECONDS, stopping)

    async def fire_due(self) -> int:
        """Fires the next timer of the cases that are longest due; how many cases."""

        async def work(connection: Connection) -> tuple[int, list[Outgoing]]:
            now = self._clock.now()
            cases = await store.lock_due(connection, now, _TIMERS_AT_ONCE)
            if not cases:
                return 0, []
            due = {complaint_id: self._due(case, now) for complaint_id, case in cases.items()}
            moved = [cases[complaint_id] for complaint_id, timer in due.items() if timer is None]
            await store.reschedule(connection, moved, self._policy)
            directory = await registry_store.directory(connection)
            outgoing: list[Outgoing] = []
            taken: list[StoredCase] = []
            for complaint_id, timer in due.items():
                if timer is not None:
                    outgoing += self._fire(cases[complaint_id], timer, directory, now)
                    if cases[complaint_id].state.change is Change.FORWARDED:
                        taken.append(cases[complaint_id])
            outgoing += await records.forward(connection, taken, now)
            await store.save(connection, cases, self._policy)
            return len(cases), outgoing

        return await self._outbox.commit(work)

    def _due(self, case: StoredCase, now: datetime) -> Timer | None:
        """None when the policy has changed since the case was stored."""
        return next((timer for timer in self._policy.timers(case.state) if timer.due_at <= now), None)

    def _fire(self, case: StoredCase, timer: Timer, directory: Directory, now: datetime) -> list[Outgoing]:
        cause = derived_id(case.state.complaint_id, f"timer-{timer.name}")
        case.state = fire(case.state, timer, directory, self._policy, now)
        event = Event(cause, SOURCE, case.state.complaint_id, now, causation_id=cause, data=case.state)
        notice = NOTICES.get(timer.kind)
        notices = records.timer_notices(case, notice, cause, now) if notice is not None else []
        return [encode(LIFECYCLE, event), *notices]
