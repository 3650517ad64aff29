"""The SQL of a rebuild: a fresh schema beside the live one, filled by COPY, indexed, then switched to atomically."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.tracker.domain.complaint import Complaint, Entry
from services.tracker.domain.statistics import Sums
from shared.database.pool import Connection
from shared.messaging import positions
from shared.messaging.positions import Partition, Position

SCHEMA = "rebuilt"
_BEFORE = "replaced"

PROJECTED = (
    "complaints",
    "timeline",
    "complaint_words",
    "weekly_statistics",
    "waiting_statistics",
    "duration_statistics",
    "state_statistics",
)
"""The tables that are made of events alone."""

_CONSUMER = "tracker"
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table_name,
       pg_get_indexdef(i.indexrelid) AS definition, c.conname AS constraint_name, c.contype::text AS kind
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
WHERE i.indrelid = ANY($1::regclass[])
ORDER BY i.indrelid, i.indexrelid
"""
_DIFFERENT = """
SELECT count(*) FROM (
    (SELECT * FROM public.{table} EXCEPT ALL SELECT * FROM rebuilt.{table})
    UNION ALL (SELECT * FROM rebuilt.{table} EXCEPT ALL SELECT * FROM public.{table})
) AS different
"""


async def prepare(connection: Connection) -> None:
    """An empty schema with the projected tables, without indexes. What an interrupted rebuild left is dropped."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for table in PROJECTED:
        await connection.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table} INCLUDING STORAGE)")


class Loading:
    """Copies rows into the fresh schema."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def complaints(self, rows: Iterable[Complaint]) -> None:
        """Whole rows."""
        await self._copy("complaints", [field.name for field in fields(Complaint)], map(astuple, rows))

    async def timeline(self, entries: Sequence[Entry]) -> None:
        """Entries, each once."""
        await self._copy("timeline", list(Entry._fields), entries)

    async def words(self, found: Sequence[tuple[UUID, datetime, str]]) -> None:
        """(id, received at, tsvector literal), as text: asyncpg knows no binary form of a tsvector."""
        await self._connection.execute(
            f"""
            INSERT INTO {SCHEMA}.complaint_words (complaint_id, received_at, words)
            SELECT id, received_at, words::tsvector
            FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS new (id, received_at, words)
            """,
            *([row[place] for row in found] for place in range(3)),
        )

    async def sums(self, sums: Sums) -> None:
        """All statistics."""
        counted: Mapping[str, Iterable[Sequence[object]]] = {
            "weekly_statistics": ((*key, *counts) for key, counts in sums.weekly.items() if counts[0]),
            "waiting_statistics": ((*key, number) for key, number in sums.waiting.items() if number),
            "duration_statistics": ((*key, number) for key, number in sums.lasted.items() if number),
            "state_statistics": ((key, number) for key, number in sums.states.items() if number),
        }
        for table, rows in counted.items():
            await self._copy(table, None, rows)

    async def _copy(self, table: str, columns: list[str] | None, rows: Iterable[Sequence[Any]]) -> None:
        await self._connection.copy_records_to_table(table, schema_name=SCHEMA, columns=columns, records=rows)


async def index(connection: Connection) -> None:
    """Gives the fresh tables the indexes and keys of the live ones, and their planner statistics."""
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for row in await connection.fetch(_INDEXES, [f"public.{table}" for table in PROJECTED]):
        definition = row["definition"].replace(" ON public.", f" ON {SCHEMA}.", 1)
        await connection.execute(definition)
        if row["kind"] in ("p", "u"):
            kind = "PRIMARY KEY" if row["kind"] == "p" else "UNIQUE"
            name = row["constraint_name"]
            await connection.execute(
                f"ALTER TABLE {SCHEMA}.{row['table_name']} ADD CONSTRAINT {name} {kind} USING INDEX {name}"
            )
    for table in PROJECTED:
        await connection.execute(f"ANALYZE {SCHEMA}.{table}")


async def differences(connection: Connection) -> dict[str, int]:
    """How many rows of each table differ between the live and the fresh schema."""
    found = {}
    for table in PROJECTED:
        found[table] = int(await connection.fetchval(_DIFFERENT.format(table=table)))
    return found


async def switch(connection: Connection, ends: Mapping[Partition, Position]) -> None:
    """Makes the fresh schema the live one, with the reader's positions that belong to it, in the caller's transaction.

    A running tracker goes on from these positions: behind its own, it reads again; ahead, it skips.
    """
    await positions.register(connection, _CONSUMER, dict.fromkeys(ends, 0))
    await positions.lock(connection, _CONSUMER, list(ends))
    await connection.execute(f"DROP SCHEMA IF EXISTS {_BEFORE} CASCADE")
    await connection.execute(f"CREATE SCHEMA {_BEFORE}")
    for table in PROJECTED:
        await connection.execute(f"ALTER TABLE public.{table} SET SCHEMA {_BEFORE}")
        await connection.execute(f"ALTER TABLE {SCHEMA}.{table} SET SCHEMA public")
    await positions.move(connection, _CONSUMER, ends)
    await connection.execute(f"DROP SCHEMA {_BEFORE} CASCADE")
    await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


async def stored_positions(connection: Connection, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """How far the running reader has come."""
    rows, _ = await positions.lock(connection, _CONSUMER, sorted(partitions))
    return {partition: position.next_offset for partition, position in rows.items()}
