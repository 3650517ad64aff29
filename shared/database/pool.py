"""Connections to a service's own PostgreSQL, and the guard against a database that went back in time.

Why nothing is lost or doubled when a database is restored: a service works only on a database *incarnation*
it has verified against Kafka (`shared.messaging.recovery`). Every new connection reads which incarnation it
met: the cluster's system identifier, its timeline and the start time of the server process. A restore, however
it is made, needs another server process; so the first connection after it differs, is refused, and nothing is
read or written through this pool until the new incarnation is verified and trusted.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import asyncpg
import orjson
import structlog
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic in its stubs only
T = TypeVar("T")

log = structlog.get_logger(__name__)

_INCARNATION = """
SELECT (SELECT system_identifier FROM pg_control_system()),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
       pg_postmaster_start_time()
"""


class Incarnation(NamedTuple):
    """Which running server, with which history, a connection reached."""

    system_identifier: int
    timeline: int
    started_at: datetime


class IncarnationNotTrusted(Exception):
    """The database server is another one than was verified: wait until it is verified against Kafka."""


TRANSIENT = (
    IncarnationNotTrusted,
    asyncpg.PostgresConnectionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a server still in recovery has no write position
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of an operation
    OSError,
    asyncio.TimeoutError,
)
"""What may be gone when the same is done again: locks, connections, resources."""


def is_transient(error: BaseException) -> bool:
    """Whether doing the same again may succeed: deadlock, serialisation failure, lost or refused connection."""
    return isinstance(error, TRANSIENT)


async def incarnation_of(connection: Connection) -> Incarnation:
    """Reads the incarnation a connection reached."""
    row = await connection.fetchrow(_INCARNATION)
    assert row is not None
    return Incarnation(*row)


class Database:
    """The pool of one service. Create it closed; `open` it, `trust` an incarnation, then `run` units of work."""

    def __init__(self, url: str, *, size: int = 8) -> None:
        self._url = url
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._trusted: Incarnation | None = None
        self.suspect = asyncio.Event()
        """Set while the incarnation is not verified: connections reach another, or it is trusted for the time being."""

    async def open(self) -> None:
        """Prepares the pool; connections are made when first needed."""
        self._pool = await asyncpg.create_pool(
            self._url, min_size=0, max_size=self._size, init=self._initialise, command_timeout=60, timeout=5
        )

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection outside the pool and its guard: for session locks, LISTEN, and verification itself."""
        connection = await asyncpg.connect(self._url, timeout=5)
        await _set_codecs(connection)
        return connection

    @property
    def trusted(self) -> Incarnation | None:
        return self._trusted

    def trust(self, incarnation: Incarnation) -> None:
        """Allows work on this incarnation."""
        self._trusted = incarnation
        self.suspect.clear()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One READ COMMITTED transaction: commits at the end, rolls back on an exception."""
        assert self._pool is not None, "open the database first"
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, patience: float = 60.0) -> T:
        """Runs `work` in one transaction, again after a transient error, for up to `patience` seconds.

        A commit whose answer was lost may have happened: `work` must find its own traces (an inbox position,
        an idempotency key) and not do things twice. Raises the last error when patience ends, and any
        error that is not transient at once.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + patience
        pause = 0.01
        while True:
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except Exception as error:
                if not is_transient(error) or loop.time() + pause > give_up_at:
                    raise
                log.warning("database_retry", error=repr(error), pause=pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, 1.0)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of one query in a transaction of its own."""
        assert self._pool is not None, "open the database first"
        async with self._pool.acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def is_verified(self, connection: Connection) -> bool:
        """Whether this connection of `connect` reached the verified incarnation; another one becomes suspect.

        Whoever meets another incarnation must say so: there may be nobody else who notices.
        """
        await self._meet(connection)
        return not self.suspect.is_set()

    async def _meet(self, connection: Connection) -> Incarnation:
        met = await incarnation_of(connection)
        if met != self._trusted:
            self.suspect.set()
        return met

    async def _initialise(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        met = await self._meet(connection)
        if met != self._trusted:
            raise IncarnationNotTrusted(f"met {met}, trusted is {self._trusted}")
        await _set_codecs(connection)


async def _set_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: orjson.dumps(value).decode(),
        decoder=orjson.loads,
    )
