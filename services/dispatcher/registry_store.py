"""The SQL of the registry of administrations, and of the queues of their assignments.

Who has its queue decides where a case goes, so whoever decides reads the registry under a shared lock of it, and
whoever changes a state holds it alone: a case parked by an open transaction is seen by the one that calls the
administration ready. The lock is taken last, after those of cases: one who has it waits for no case.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from services.dispatcher.domain.directory import Directory
from services.dispatcher.domain.onboarding import HANDED_OVER, Entry
from shared.contracts.administrations import Administration, Onboarding
from shared.contracts.administrations import AdministrationState as State
from shared.contracts.lifecycle import AssignmentStatus
from shared.database.pool import Connection, Database

_REGISTRY_LOCK = 0x43484B10

_SHARE = "SELECT pg_advisory_xact_lock_shared($1)"
_ALONE = "SELECT pg_advisory_xact_lock($1)"
_ONE_MOVER = "SELECT pg_try_advisory_xact_lock(hashtextextended('move:' || $1, 0))"
_SEED = """
INSERT INTO administrations (code, kind, parent, name_fr, name_ar, announced, terms, state)
SELECT code, kind, parent, name_fr, name_ar, announced, string_to_array(terms, chr(31)), state
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
     AS row (code, kind, parent, name_fr, name_ar, announced, terms, state)
ON CONFLICT (code) DO UPDATE
SET kind = excluded.kind, parent = excluded.parent, name_fr = excluded.name_fr, name_ar = excluded.name_ar,
    announced = excluded.announced, terms = excluded.terms
WHERE (administrations.kind, administrations.parent, administrations.name_fr, administrations.name_ar,
       administrations.announced, administrations.terms)
      IS DISTINCT FROM (excluded.kind, excluded.parent, excluded.name_fr, excluded.name_ar, excluded.announced,
                        excluded.terms)
"""
_DIRECTORY = "SELECT code, parent, state = 'ready' AS on_board FROM administrations"
_ENTRY = (
    "code, kind, parent, name_fr, name_ar, announced, state, state_since, generation, generation_in_place, token_hash"
)
_ALL = f"SELECT {_ENTRY} FROM administrations ORDER BY code"
_UNDER_WAY = f"""
SELECT {_ENTRY} FROM administrations
WHERE state NOT IN ('listed', 'ready') OR generation_in_place < generation ORDER BY code
"""
_ONE = f"SELECT {_ENTRY} FROM administrations WHERE code = $1"
_MOVE = """
UPDATE administrations SET state = $2, state_since = $3, generation = $4, generation_in_place = $5, token_hash = $6
WHERE code = $1
"""
_RESTORE = """
UPDATE administrations SET state = restored.state, state_since = now(), generation = restored.generation,
                           generation_in_place = least(administrations.generation_in_place, restored.generation - 1)
FROM unnest($1::text[], $2::text[], $3::int[]) AS restored (code, state, generation)
WHERE administrations.code = restored.code AND administrations.generation <= restored.generation
"""
_QUEUE = """
SELECT assignment_id, complaint_id FROM assignments
WHERE administration = $1 AND status = ANY($2::text[]) AND status NOT IN ('', 'answered')
ORDER BY received_at, assignment_id LIMIT $3
"""
_TO_MOVE = """
SELECT code FROM administrations
WHERE state = 'releasing'
   OR state IN ('offboarding', 'offboarded') AND EXISTS (
          SELECT FROM assignments WHERE administration = code AND status = ANY($1::text[])
                                    AND status NOT IN ('', 'answered'))
ORDER BY code
"""
_LEAVE_QUEUE = "UPDATE assignments SET status = '' WHERE assignment_id = ANY($1::uuid[])"
_TOKEN_OF = "SELECT token_hash FROM administrations WHERE code = $1 AND state IN ('provisioned', 'releasing', 'ready')"

_TO_HAND_OVER = [status.value for status in HANDED_OVER]
_FIRST_STATE = {Onboarding.READY: State.READY}


async def seed(connection: Connection, administrations: Iterable[Administration]) -> None:
    """Adds administrations that are not there yet, and corrects what is known of the others; never a state.

    A new one that is announced as ready is so: its topics are made with the internal ones.
    """
    bodies = sorted(administrations, key=lambda body: body.code)
    await connection.execute(_ALONE, _REGISTRY_LOCK)
    await connection.execute(
        _SEED,
        [body.code for body in bodies],
        [body.kind for body in bodies],
        [body.parent for body in bodies],
        [body.name_fr for body in bodies],
        [body.name_ar for body in bodies],
        [body.onboarding.value for body in bodies],
        ["\x1f".join(body.terms) for body in bodies],
        [_FIRST_STATE.get(body.onboarding, State.LISTED).value for body in bodies],
    )


async def directory(connection: Connection) -> Directory:
    """Who is on board. Read anew in every transaction (some 2 ms for 1,750), and true until its end."""
    await connection.execute(_SHARE, _REGISTRY_LOCK)
    rows = await connection.fetch(_DIRECTORY)
    return Directory({row["code"]: row["parent"] for row in rows}, frozenset(r["code"] for r in rows if r["on_board"]))


async def entry_alone(connection: Connection, code: str) -> Entry | None:
    """An administration, with no decision under way and none to come until the end of the transaction."""
    await connection.execute(_ALONE, _REGISTRY_LOCK)
    row = await connection.fetchrow(_ONE, code)
    return None if row is None else _entry(row)


async def move(connection: Connection, entry: Entry) -> None:
    """Stores the state and the generations of an administration."""
    await connection.execute(
        _MOVE,
        entry.code,
        entry.state.value,
        entry.state_since,
        entry.generation,
        entry.generation_in_place,
        entry.token_hash,
    )


async def restore(connection: Connection, states: Sequence[tuple[str, State, int]]) -> None:
    """Stores (code, state, generation) told by own events; the provisioner then puts the generation in place again."""
    newest = {code: (code, state.value, generation) for code, state, generation in states}
    if newest:
        await connection.execute(_ALONE, _REGISTRY_LOCK)
        await connection.execute(_RESTORE, *map(list, zip(*newest.values(), strict=True)))


async def to_move(connection: Connection) -> list[str]:
    """The administrations whose queue is to be released or handed over."""
    return [row["code"] for row in await connection.fetch(_TO_MOVE, _TO_HAND_OVER)]


async def only_mover(connection: Connection, code: str) -> bool:
    """Whether this transaction is the only one that moves the queue of an administration, until its end."""
    return bool(await connection.fetchval(_ONE_MOVER, code))


async def state_of(connection: Connection, code: str) -> State | None:
    """The state as last committed, under no lock."""
    row = await connection.fetchrow(_ONE, code)
    return None if row is None else State(row["state"])


async def parked(connection: Connection, code: str, limit: int) -> list[tuple[UUID, UUID]]:
    """(assignment, complaint) of what is parked for an administration, the complaints received first."""
    return await _queue(connection, code, [AssignmentStatus.PARKED.value], limit)


async def unfinished(connection: Connection, code: str, limit: int) -> list[tuple[UUID, UUID]]:
    """(assignment, complaint) of the work an administration has not done, the complaints received first."""
    return await _queue(connection, code, _TO_HAND_OVER, limit)


async def leave_queue(connection: Connection, assignment_ids: Sequence[UUID]) -> None:
    """Takes assignments that no case has any more out of the queues."""
    await connection.execute(_LEAVE_QUEUE, assignment_ids)


async def _queue(connection: Connection, code: str, statuses: list[str], limit: int) -> list[tuple[UUID, UUID]]:
    rows = await connection.fetch(_QUEUE, code, statuses, limit)
    return [(row["assignment_id"], row["complaint_id"]) for row in rows]


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(**{**row, "state": State(row["state"])})


class RegistryQueries:
    """What the API asks of the registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Entry]:
        """Every administration, by code."""
        return [_entry(row) for row in await self._database.fetch(_ALL)]

    async def under_way(self) -> list[Entry]:
        """Those that are coming on board, leaving, or waiting for credentials."""
        return [_entry(row) for row in await self._database.fetch(_UNDER_WAY)]

    async def one(self, code: str) -> Entry | None:
        rows = await self._database.fetch(_ONE, code)
        return _entry(rows[0]) if rows else None

    async def token_hash(self, code: str) -> bytes | None:
        """The hash of the bearer token of an administration; None for one that may not answer."""
        rows = await self._database.fetch(_TOKEN_OF, code)
        found: bytes | None = rows[0]["token_hash"] if rows else None
        return found
