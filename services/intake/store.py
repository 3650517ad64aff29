"""The SQL of intake."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.domain import actions, filing
from services.intake.domain.actions import Action
from services.intake.domain.filing import Submission
from shared.contracts.envelope import Event
from shared.contracts.events import CitizenActed, ComplaintSubmitted
from shared.database.pool import Connection, Database

_INSERT = """
INSERT INTO submissions (key, digest, complaint_id, reference, received_at, access_code_key, access_code_issue)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::int[])
ON CONFLICT DO NOTHING
RETURNING complaint_id
"""
_BY_KEY = """
SELECT key, digest, complaint_id, reference, received_at, access_code_key, access_code_issue
FROM submissions WHERE key = ANY($1::uuid[])
"""
_BY_REFERENCE = """
SELECT key, digest, complaint_id, reference, received_at, access_code_key, access_code_issue
FROM submissions WHERE reference = $1
"""
_INSERT_ACTIONS = """
INSERT INTO actions (action_id, complaint_id, digest) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[])
ON CONFLICT DO NOTHING
RETURNING action_id
"""
_ACTION_DIGESTS = "SELECT action_id, digest FROM actions WHERE action_id = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored submission."""

    key: UUID
    digest: bytes
    complaint_id: UUID
    reference: str
    received_at: datetime
    access_code_key: str
    access_code_issue: int


async def insert(connection: Connection, submissions: Sequence[Submission]) -> set[UUID]:
    """Stores submissions; the complaint ids of those that were new (by key, and by reference)."""
    ordered = sorted(submissions, key=lambda submission: submission.key)
    rows = await _insert(
        connection, [s.key for s in ordered], [s.digest for s in ordered], [s.event.data for s in ordered]
    )
    return {row["complaint_id"] for row in rows}


async def restore(connection: Connection, events: Sequence[Event[ComplaintSubmitted]]) -> None:
    """Stores what the events say, for a database that went back in time."""
    await _insert(
        connection,
        [e.causation_id for e in events],
        [filing.digest_of(e.data) for e in events],
        [e.data for e in events],
    )


async def by_key(connection: Connection, keys: Sequence[UUID]) -> dict[UUID, Stored]:
    """The stored submissions of these keys."""
    return {row["key"]: Stored(**row) for row in await connection.fetch(_BY_KEY, keys)}


async def insert_actions(connection: Connection, filed: Sequence[Action]) -> tuple[set[UUID], dict[UUID, bytes]]:
    """Stores actions; the ids of those that were new, and the digest stored under each id."""
    ordered = sorted(filed, key=lambda one: one.event.id)
    rows = await connection.fetch(
        _INSERT_ACTIONS,
        [one.event.id for one in ordered],
        [one.event.subject for one in ordered],
        [one.digest for one in ordered],
    )
    stored = await connection.fetch(_ACTION_DIGESTS, [one.event.id for one in ordered])
    return {row["action_id"] for row in rows}, {row["action_id"]: row["digest"] for row in stored}


async def restore_actions(connection: Connection, events: Sequence[Event[CitizenActed]]) -> None:
    """Stores what the events say, for a database that went back in time."""
    await connection.execute(
        _INSERT_ACTIONS,
        [event.id for event in events],
        [event.subject for event in events],
        [actions.digest_of(event.data) for event in events],
    )


class IntakeQueries:
    """The reads of the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_reference(self, reference: str) -> Stored | None:
        """The submission with this reference."""
        rows = await self._database.fetch(_BY_REFERENCE, reference)
        return Stored(**rows[0]) if rows else None


async def _insert(
    connection: Connection, keys: Sequence[UUID], digests: Sequence[bytes], data: Sequence[ComplaintSubmitted]
) -> list[dict[str, UUID]]:
    rows = await connection.fetch(
        _INSERT,
        keys,
        digests,
        [d.complaint_id for d in data],
        [d.reference for d in data],
        [d.received_at for d in data],
        [d.access_code_key for d in data],
        [d.access_code_issue for d in data],
    )
    return [dict(row) for row in rows]
