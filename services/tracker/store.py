"""The SQL of the tracker."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.tracker.domain import answer_of, holder
from shared.contracts.envelope import Event
from shared.contracts.events import CaseChanged, ComplaintSubmitted
from shared.database.pool import Connection, Database

_SUBMITTED = """
INSERT INTO complaints (complaint_id, reference, received_at, channel, kind, access_code_key, access_code_issue)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::int[])
ON CONFLICT (complaint_id) DO UPDATE
SET reference = excluded.reference, received_at = excluded.received_at, channel = excluded.channel,
    kind = excluded.kind, access_code_key = excluded.access_code_key, access_code_issue = excluded.access_code_issue
"""
_CHANGED = """
INSERT INTO complaints (complaint_id, version, status, administration, on_behalf_of, since, forward_by, answer_by,
                        answer, nature)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                     $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[])
ON CONFLICT (complaint_id) DO UPDATE
SET version = excluded.version, status = excluded.status, administration = excluded.administration,
    on_behalf_of = excluded.on_behalf_of, since = excluded.since, forward_by = excluded.forward_by,
    answer_by = excluded.answer_by, answer = excluded.answer, nature = excluded.nature
WHERE complaints.version < excluded.version
"""
_TIMELINE = """
INSERT INTO timeline (complaint_id, event_id, happened_at, version, change, administration)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[], $5::text[], $6::text[])
ON CONFLICT DO NOTHING
"""
_BY_REFERENCE = "SELECT * FROM complaints WHERE reference = $1"
_TIMELINE_OF = """
SELECT happened_at, change, administration FROM timeline WHERE complaint_id = $1
ORDER BY version NULLS LAST, happened_at
"""
_LIST = """
SELECT complaint_id, reference, received_at, status, administration, since, forward_by, answer_by, kind, nature, channel
FROM complaints
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR administration = $2)
  AND ($3::timestamptz IS NULL OR (received_at, complaint_id) < ($3, $4::uuid)) AND received_at IS NOT NULL
ORDER BY received_at DESC, complaint_id DESC LIMIT $5
"""
_CONSERVATION = """
SELECT count(*) FILTER (WHERE reference IS NOT NULL) AS accepted, status, count(*) AS number FROM complaints
WHERE received_at IS NULL OR received_at < $1 OR status IS NOT NULL GROUP BY status
"""
_GAP = """
SELECT coalesce(reference, complaint_id::text) AS name FROM complaints
WHERE (status IS NULL AND received_at < $1) OR reference IS NULL ORDER BY 1 LIMIT 1000
"""


async def project_submitted(connection: Connection, events: Sequence[Event[ComplaintSubmitted]]) -> None:
    """Adds what a submission says; the order against lifecycle events does not matter."""
    data = list({event.subject: event.data for event in events}.values())
    await connection.execute(
        _SUBMITTED,
        [d.complaint_id for d in data],
        [d.reference for d in data],
        [d.received_at for d in data],
        [d.channel.value for d in data],
        [d.kind.value for d in data],
        [d.access_code_key for d in data],
        [d.access_code_issue for d in data],
    )


async def project_changed(connection: Connection, events: Sequence[Event[CaseChanged]]) -> None:
    """Keeps the highest version of each case, and every change in its timeline."""
    newest: dict[UUID, CaseChanged] = {}
    for event in events:
        before = newest.get(event.subject)
        if before is None or before.version < event.data.version:
            newest[event.subject] = event.data
    cases = list(newest.values())
    await connection.execute(
        _CHANGED,
        [c.complaint_id for c in cases],
        [c.version for c in cases],
        [c.status.value for c in cases],
        [holder(c)[0] for c in cases],
        [holder(c)[1] for c in cases],
        [c.changed_at for c in cases],
        [c.deadlines.forward_by for c in cases],
        [c.deadlines.answer_by for c in cases],
        [answer_of(c) for c in cases],
        [None if c.nature is None else c.nature.value for c in cases],
    )
    await connection.execute(
        _TIMELINE,
        [e.subject for e in events],
        [e.id for e in events],
        [e.data.changed_at for e in events],
        [e.data.version for e in events],
        [e.data.change.value for e in events],
        [holder(e.data)[0] for e in events],
    )


async def add_to_timeline(connection: Connection, entries: Sequence[tuple[UUID, UUID, datetime, str]]) -> None:
    """Adds (complaint id, event id, when, what) entries that are no change of the case."""
    columns = [list(column) for column in zip(*entries, strict=True)]
    nothing = [None for _ in entries]
    await connection.execute(_TIMELINE, columns[0], columns[1], columns[2], nothing, columns[3], nothing)


Row = asyncpg.Record
"""A row of the read model, by column name."""


class TrackerQueries:
    """The reads of the API, on a pool of connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_reference(self, reference: str) -> Row | None:
        """The row of one complaint."""
        rows = await self._database.fetch(_BY_REFERENCE, reference)
        return rows[0] if rows else None

    async def timeline(self, complaint_id: UUID) -> list[Row]:
        """What happened, in order."""
        return await self._database.fetch(_TIMELINE_OF, complaint_id)

    async def newest(self, status: str | None, administration: str | None, after: Any, limit: int) -> list[Row]:
        """A page, newest first; `after` is (received_at, complaint id) of the last row seen, or (None, None)."""
        return await self._database.fetch(_LIST, status, administration, *after, limit)

    async def conservation(self, settled_before: datetime) -> tuple[dict[str, int], int, list[str]]:
        """(number per state, accepted, names in the gap) of complaints older than `settled_before` or with a state."""
        rows = await self._database.fetch(_CONSERVATION, settled_before)
        gap = await self._database.fetch(_GAP, settled_before)
        states = {row["status"]: row["number"] for row in rows if row["status"] is not None}
        return states, sum(row["accepted"] for row in rows), [row["name"] for row in gap]
