"""The SQL that keeps the read model: complaints, timeline, words, statistics, live changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

from services.tracker.domain.complaint import Complaint, Entry
from services.tracker.domain.statistics import COUNTERS, Sums
from shared.database.pool import Connection

Key = TypeVar("Key")
CellKey = TypeVar("CellKey", bound=tuple[Any, ...])

COLUMNS = tuple(field.name for field in fields(Complaint))
_TYPES = {
    "complaint_id": "uuid",
    "access_code_issue": "int",
    "version": "int",
    "hops": "int",
    **dict.fromkeys(
        (
            "received_at",
            "since",
            "held_since",
            "forward_by",
            "answer_by",
            "forwarded_at",
            "answered_at",
            "reopened_at",
            "reopened_answer_by",
        ),
        "timestamptz",
    ),
}
_ROW = attrgetter(*COLUMNS)

_LOAD = f"""
SELECT {", ".join(COLUMNS)} FROM complaints WHERE complaint_id = ANY($1::uuid[]) ORDER BY complaint_id FOR UPDATE
"""
_SAVE = f"""
INSERT INTO complaints ({", ".join(COLUMNS)})
SELECT * FROM unnest({", ".join(f"${n}::{_TYPES.get(name, 'text')}[]" for n, name in enumerate(COLUMNS, 1))})
ON CONFLICT (complaint_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}
"""
_WORDS = """
INSERT INTO complaint_words (complaint_id, received_at, words)
SELECT id, received_at, words::tsvector
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS new (id, received_at, words)
ON CONFLICT DO NOTHING
"""
_TIMELINE = """
WITH added AS (
    INSERT INTO timeline (complaint_id, event_id, happened_at, version, change, status, administration, on_behalf_of,
                          forward_by, answer_by, hops, details)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::timestamptz[], $10::timestamptz[], $11::int[], $12::text[])
    ON CONFLICT DO NOTHING
    RETURNING happened_at, complaint_id, version, change, status, administration
)
INSERT INTO live_changes (happened_at, complaint_id, version, change, status, administration)
SELECT * FROM added WHERE version IS NOT NULL ORDER BY happened_at, version
"""
_WEEKLY = f"""
INSERT INTO weekly_statistics AS kept (dimension, value, week, {", ".join(COUNTERS)})
SELECT * FROM unnest($1::text[], $2::text[], $3::date[],
                     {", ".join(f"${n}::bigint[]" for n in range(4, 4 + len(COUNTERS)))})
ON CONFLICT (dimension, value, week)
DO UPDATE SET {", ".join(f"{name} = kept.{name} + excluded.{name}" for name in COUNTERS)}
"""
_FORGET_WEEKLY = """
DELETE FROM weekly_statistics USING unnest($1::text[], $2::text[], $3::date[]) AS touched (dimension, value, week)
WHERE weekly_statistics.dimension = touched.dimension AND weekly_statistics.value = touched.value
  AND weekly_statistics.week = touched.week AND received = 0
"""
_WAITING = """
INSERT INTO waiting_statistics AS kept (dimension, value, measure, received_on, due_on, number)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[], $6::bigint[])
ON CONFLICT (dimension, value, measure, received_on, due_on) DO UPDATE SET number = kept.number + excluded.number
"""
_FORGET_WAITING = """
DELETE FROM waiting_statistics AS kept
USING unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::date[])
      AS touched (dimension, value, measure, received_on, due_on)
WHERE kept.dimension = touched.dimension AND kept.value = touched.value AND kept.measure = touched.measure
  AND kept.received_on = touched.received_on AND kept.due_on = touched.due_on AND number = 0
"""
_LASTED = """
INSERT INTO duration_statistics AS kept (dimension, value, week, measure, days, number)
SELECT * FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::int[], $6::bigint[])
ON CONFLICT (dimension, value, measure, week, days) DO UPDATE SET number = kept.number + excluded.number
"""
_FORGET_LASTED = """
DELETE FROM duration_statistics AS kept
USING unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::int[])
      AS touched (dimension, value, week, measure, days)
WHERE kept.dimension = touched.dimension AND kept.value = touched.value AND kept.measure = touched.measure
  AND kept.week = touched.week AND kept.days = touched.days AND number = 0
"""
_STATES = """
INSERT INTO state_statistics AS kept (status, number) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (status) DO UPDATE SET number = kept.number + excluded.number
"""
_FORGET_STATES = "DELETE FROM state_statistics WHERE status = ANY($1::text[]) AND number = 0"


async def load(connection: Connection, complaint_ids: Collection[UUID]) -> dict[UUID, Complaint]:
    """The rows of these complaints, locked; one not known yet is missing."""
    rows = await connection.fetch(_LOAD, list(complaint_ids))
    return {row["complaint_id"]: Complaint(*row) for row in rows}


async def save(connection: Connection, complaints: Iterable[Complaint]) -> None:
    """Writes whole rows."""
    rows = sorted(complaints, key=lambda complaint: complaint.complaint_id)
    if rows:
        await connection.execute(_SAVE, *columns(map(_ROW, rows)))


async def add_words(connection: Connection, found: Sequence[tuple[UUID, datetime, str]]) -> None:
    """Makes complaints findable: (id, received at, tsvector literal)."""
    await connection.execute(_WORDS, *columns(found))


async def add_to_timeline(connection: Connection, entries: Sequence[Entry]) -> None:
    """Adds entries, each once; those that are versions of a case become live changes too."""
    await connection.execute(_TIMELINE, *columns(entries))


async def add_sums(connection: Connection, sums: Sums) -> None:
    """Adds to the statistics, in the order of their keys, so that two instances cannot deadlock."""
    weekly = {key: tuple(counts) for key, counts in sums.weekly.items() if any(counts)}
    await _add(connection, _WEEKLY, _FORGET_WEEKLY, weekly)
    await _add(connection, _WAITING, _FORGET_WAITING, _single(sums.waiting))
    await _add(connection, _LASTED, _FORGET_LASTED, _single(sums.lasted))
    await _add(connection, _STATES, _FORGET_STATES, {(key,): count for key, count in _single(sums.states).items()})


def columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Rows as columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def _single(counts: Mapping[Key, int]) -> dict[Key, tuple[int, ...]]:
    return {key: (count,) for key, count in counts.items() if count}


async def _add(connection: Connection, add: str, forget: str, changes: Mapping[CellKey, tuple[int, ...]]) -> None:
    if not changes:
        return
    rows = sorted(changes.items(), key=lambda item: item[0])
    await connection.execute(add, *columns((*key, *counts) for key, counts in rows))
    taken = [key for key, counts in rows if counts[0] < 0]
    if taken:
        await connection.execute(forget, *columns(taken))
