"""The SQL of what is not made of events: failed attempts, what staff read, their saved views, and upkeep."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from shared.database.pool import Database

_FAIL = """
INSERT INTO access_failures AS kept (key, spent_until)
SELECT key, $3::timestamptz + cost FROM unnest($1::text[], $2::interval[]) AS failed (key, cost) ORDER BY key
ON CONFLICT (key) DO UPDATE SET spent_until = greatest(kept.spent_until, $3) + (excluded.spent_until - $3)
"""
_FORGET_FAILURES = "DELETE FROM access_failures WHERE spent_until < $1"
_TRIM_LIVE = "DELETE FROM live_changes WHERE id <= (SELECT max(id) FROM live_changes) - $1"
_READ = """
INSERT INTO staff_reads (read_at, reader, action, complaint_id, asked) VALUES ($1, $2, $3, $4, $5)
"""
_READS_OF = """
SELECT read_at, reader, action, asked FROM staff_reads WHERE complaint_id = $1 ORDER BY id DESC LIMIT 1000
"""
_SAVE_VIEW = """
INSERT INTO saved_views (owner, name, filter) VALUES ($1, $2, $3)
ON CONFLICT (owner, name) DO UPDATE SET filter = excluded.filter
"""
_VIEWS = "SELECT name, filter FROM saved_views WHERE owner = $1 ORDER BY name"
_VIEW = "SELECT filter FROM saved_views WHERE owner = $1 AND name = $2"
_DROP_VIEW = "DELETE FROM saved_views WHERE owner = $1 AND name = $2"

_LIVE_KEPT = 100_000


class StaffRecords:
    """Writes and reads what does not come from Kafka and is kept over a rebuild."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failed(self, costs: Mapping[str, timedelta], now: datetime) -> None:
        """Takes the cost of a failed attempt from the credit of each key, for all replicas."""
        await self._database.fetch(_FAIL, list(costs), list(costs.values()), now)

    async def upkeep(self, now: datetime) -> None:
        """Forgets failures that no longer count and live changes nobody resumes from."""
        await self._database.fetch(_FORGET_FAILURES, now)
        await self._database.fetch(_TRIM_LIVE, _LIVE_KEPT)

    async def was_read(
        self, now: datetime, reader: str, action: str, complaint_id: UUID | None = None, asked: str | None = None
    ) -> None:
        """Records that a member of staff read about a complaint, or searched or exported with `asked`."""
        await self._database.fetch(_READ, now, reader, action, complaint_id, asked)

    async def reads_of(self, complaint_id: UUID) -> list[asyncpg.Record]:
        """Who read about a complaint, the last first."""
        return await self._database.fetch(_READS_OF, complaint_id)

    async def save_view(self, owner: str, name: str, condition: dict[str, Any]) -> None:
        """Keeps a filter under a name of its owner."""
        await self._database.fetch(_SAVE_VIEW, owner, name, condition)

    async def views(self, owner: str) -> list[asyncpg.Record]:
        """The names and filters of an owner."""
        return await self._database.fetch(_VIEWS, owner)

    async def view(self, owner: str, name: str) -> dict[str, Any] | None:
        """One filter."""
        rows = await self._database.fetch(_VIEW, owner, name)
        return dict(rows[0]["filter"]) if rows else None

    async def drop_view(self, owner: str, name: str) -> None:
        """Forgets a filter."""
        await self._database.fetch(_DROP_VIEW, owner, name)
