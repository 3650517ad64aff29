"""Recovery: cases rebuilt from the dispatcher's own events."""

from collections.abc import Sequence
from uuid import UUID

from services.dispatcher import store
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import records
from services.dispatcher.store import StoredCase
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import CaseChanged
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing
from shared.runtime.clock import Clock


class RestoreCases:
    """Each complaint keeps its highest version."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        newest: dict[UUID, StoredCase] = {}
        for event in events:
            if isinstance(event.data, CaseChanged):
                before = newest.get(event.subject)
                if before is None or before.state.version < event.data.version:
                    newest[event.subject] = StoredCase(event.data, None)
        await store.save(connection, newest, self._policy)
        restored = (await store.lock(connection, newest)).values()
        known = [case for case in restored if case.submitted is not None]
        return await records.say_again(connection, known, self._clock.now())
