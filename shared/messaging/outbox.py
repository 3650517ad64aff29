"""The outbox: a service's permanent journal of what it told the world.

Why nothing is lost or doubled on the way out:

* State change and event rows commit in one PostgreSQL transaction: there is no moment with one and not the other.
* The rows are appended last, under a transaction-scoped advisory lock taken in a statement of its own. The lock is
  held until the commit, so ids are given in commit order: whoever has seen id N has seen all below it.
  The id is the event's *sequence*.
* `journal_events` holds the id of every event ever appended, also of those restored from Kafka. Ids are derived
  from the input and the step, so it proves which inputs were handled.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import orjson

from shared.database.pool import TRANSIENT, Connection, Database
from shared.messaging.codec import Outgoing

T = TypeVar("T")

CHANNEL = "outbox"
"""The NOTIFY channel that wakes a relay in another process."""

_APPEND_LOCK = 0x43484B01

_LOCK = "SELECT pg_advisory_xact_lock($1)"
_APPEND = """
INSERT INTO outbox (topic, partition, key, event_id, headers, value)
SELECT topic, partition, key, event_id, headers, value
FROM unnest($1::text[], $2::int[], $3::bytea[], $4::uuid[], $5::text[], $6::bytea[]) WITH ORDINALITY
     AS row (topic, partition, key, event_id, headers, value, place)
ORDER BY place
"""
_REMEMBER = "INSERT INTO journal_events SELECT DISTINCT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING"
_KNOWN = "SELECT event_id FROM journal_events WHERE event_id = ANY($1::uuid[])"


class Outbox:
    """Commits units of work with the events they return. One per service process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.appended = asyncio.Event()
        """Set after a commit with events, for the relay of this process."""
        self.relayed_here = False
        """Whether the relay of this process leads; if not, the leader elsewhere is woken by NOTIFY."""

    async def commit(
        self,
        work: Callable[[Connection], Awaitable[tuple[T, Sequence[Outgoing]]]],
        *,
        patience: float = 60.0,
    ) -> T:
        """Runs `work` and appends the records it returns, in one transaction; see `Database.run` for repeats.

        Returns the first part of what `work` returned, once the commit is durable.
        """

        async def unit(connection: Connection) -> tuple[T, bool]:
            result, outgoing = await work(connection)
            await append(connection, outgoing)
            return result, bool(outgoing)

        result, has_events = await self._database.run(unit, patience=patience)
        if has_events:
            await self._wake_relay()
        return result

    async def _wake_relay(self) -> None:
        self.appended.set()
        if not self.relayed_here:
            # What is committed is committed: a relay elsewhere looks every second anyway.
            with contextlib.suppress(*TRANSIENT):
                await self._notify()

    async def _notify(self) -> None:
        await self._database.fetch(f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', '')")


async def known_events(connection: Connection, event_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these events were appended once."""
    return {row["event_id"] for row in await connection.fetch(_KNOWN, list(event_ids))}


async def remember_events(connection: Connection, event_ids: Iterable[UUID]) -> None:
    """Marks events as appended."""
    await connection.execute(_REMEMBER, list(event_ids))


async def append(connection: Connection, outgoing: Sequence[Outgoing]) -> None:
    """Appends records as the last thing a transaction does."""
    if not outgoing:
        return
    await remember_events(connection, (record.event_id for record in outgoing if record.event_id is not None))
    await connection.execute(_LOCK, _APPEND_LOCK)
    await connection.execute(
        _APPEND,
        [record.topic for record in outgoing],
        [record.partition for record in outgoing],
        [record.key for record in outgoing],
        [record.event_id for record in outgoing],
        [headers_to_text(record.headers) for record in outgoing],
        [record.value for record in outgoing],
    )


def headers_to_text(headers: Iterable[tuple[str, bytes]]) -> str:
    """Record headers as JSON; Latin-1 maps any bytes to text and back."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers]).decode()


def headers_from_text(text: str) -> tuple[tuple[str, bytes], ...]:
    """The inverse of `headers_to_text`."""
    return tuple((name, value.encode("latin-1")) for name, value in orjson.loads(text))
