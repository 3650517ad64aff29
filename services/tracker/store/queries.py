"""The reads of the tracker's API. Every query of a request is built of fixed fragments; values are parameters."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from services.tracker.domain.listing import Cursor, Filter
from services.tracker.domain.search import query_of
from services.tracker.domain.statistics import AGES, COUNTERS
from services.tracker.store.projection import COLUMNS
from shared.contracts.reference import parse_reference
from shared.database.pool import Connection, Database

Row = asyncpg.Record
"""A row of the read model, by column name."""

_ENDED = "('inadmissible', 'withdrawn', 'closed')"

LISTED = (
    "complaint_id",
    "reference",
    "received_at",
    "status",
    "since",
    "administration",
    "on_behalf_of",
    "held_since",
    "forward_by",
    "answer_by",
    "forwarded_at",
    "answered_at",
    "kind",
    "nature",
    "channel",
    "language",
    "region",
    "province",
    "commune",
    "hops",
)
"""The columns of a list and of an export."""

_ENTRIES = """
SELECT json_agg(json_build_object(
    'happened_at', happened_at, 'change', change, 'administration', administration,
    'forward_by', forward_by, 'answer_by', answer_by, 'details', details)
    ORDER BY happened_at, version NULLS LAST, event_id)
FROM timeline WHERE timeline.complaint_id = c.complaint_id
"""
# A wrong reference is answered with the work of a right one, on the newest complaint: time tells nothing.
_ASKED = f"""
SELECT {", ".join(f"c.{name}" for name in COLUMNS)}, c.reference = $1 AS asked_for, ({_ENTRIES}) AS entries,
    (SELECT spent_until FROM access_failures WHERE key = $2) AS reference_spent_until,
    (SELECT spent_until FROM access_failures WHERE key = $3) AS client_spent_until
FROM complaints c
WHERE c.complaint_id = coalesce(
    (SELECT complaint_id FROM complaints WHERE reference = $1),
    (SELECT complaint_id FROM complaints WHERE access_code_key IS NOT NULL
     ORDER BY received_at DESC, complaint_id DESC LIMIT 1))
"""
_ONE = f"SELECT {', '.join(COLUMNS)} FROM complaints WHERE reference = $1"
_TIMELINE = "SELECT * FROM timeline WHERE complaint_id = $1 ORDER BY happened_at, version NULLS LAST, event_id"
_CHANGES = """
SELECT l.id, l.transaction::text AS transaction, l.happened_at, l.complaint_id, l.version, l.change, l.status,
       l.administration, c.reference
FROM live_changes l LEFT JOIN complaints c USING (complaint_id)
WHERE (l.transaction, l.id) > ($1::text::xid8, $2) AND l.transaction < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY l.transaction, l.id LIMIT $3
"""
_LAST_CHANGE = """
SELECT transaction::text AS transaction, id FROM live_changes
WHERE transaction < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY live_changes.transaction DESC, id DESC LIMIT 1
"""
_FIRST_CHANGE = """
SELECT transaction::text AS transaction, id FROM live_changes ORDER BY live_changes.transaction, id LIMIT 1
"""
_STATES = "SELECT status, number FROM state_statistics"
_UNSETTLED = """
SELECT count(*) FILTER (WHERE access_code_key IS NOT NULL AND received_at >= $1) FROM complaints
WHERE status IS NULL OR access_code_key IS NULL
"""
_GAP = """
SELECT coalesce(reference, complaint_id::text) AS name FROM complaints
WHERE (status IS NULL OR access_code_key IS NULL) AND (received_at < $1 OR access_code_key IS NULL)
ORDER BY received_at LIMIT 1000
"""
_WEEKLY = f"""
SELECT week, {", ".join(COUNTERS)} FROM weekly_statistics
WHERE dimension = $1 AND value = $2 AND week BETWEEN $3 AND $4 ORDER BY week
"""
_BY_VALUE = f"""
SELECT value, {", ".join(f"sum({name})::bigint AS {name}" for name in COUNTERS)} FROM weekly_statistics
WHERE dimension = $1 AND week BETWEEN $2 AND $3 GROUP BY value ORDER BY value
"""
_WAITING = """
SELECT received_on, sum(number)::bigint AS number FROM waiting_statistics
WHERE dimension = $1 AND measure = $2 AND value = $3 AND received_on BETWEEN $4 AND $5 GROUP BY received_on
"""
_BACKLOG = """
SELECT value, width_bucket($3 - received_on, $4::int[]) AS age, sum(number)::bigint AS number,
       coalesce(sum(number) FILTER (WHERE due_on < $3), 0)::bigint AS overdue
FROM waiting_statistics WHERE dimension = $1 AND measure = $2 AND ($5::text IS NULL OR value = $5)
GROUP BY 1, 2 ORDER BY 1, 2
"""
_OVERDUE = """
SELECT value, sum(number)::bigint AS number FROM waiting_statistics
WHERE dimension = $1 AND measure = $2 AND received_on BETWEEN $3 AND $4 AND due_on < $5 GROUP BY value
"""
_LASTED = """
SELECT days, sum(number)::bigint AS number FROM duration_statistics
WHERE dimension = $1 AND value = $2 AND measure = $3 AND week BETWEEN $4 AND $5 GROUP BY days
"""


class Listing(NamedTuple):
    """A query for a list, its parameters, and the column its pages are ordered by."""

    sql: str
    parameters: list[Any]
    ordered_by: str


def listing(asked: Filter, now: datetime, after: Cursor | None, limit: int | None) -> Listing:
    """The query of a page (`limit` None: of everything) in a stable order; see `Filter` for the two orders."""
    parameters: list[Any] = []

    def parameter(value: Any, kind: str) -> str:
        parameters.append(value)
        return f"${len(parameters)}::{kind}"

    conditions = ["c.access_code_key IS NOT NULL", *_conditions(asked, parameter)]
    searched = None if asked.q is None or parse_reference(asked.q) is not None else query_of(asked.q)
    column, direction, comparison = "received_at", " DESC", "<"
    if asked.overdue is not None:
        column, direction, comparison = f"{asked.overdue}_by", "", ">"
        done = "forwarded_at" if asked.overdue == "forward" else "answered_at"
        moment = parameter(now, "timestamptz")
        conditions += [f"c.{done} IS NULL", f"c.status NOT IN {_ENDED}", f"c.{column} < {moment}"]
    order = f"c.{column}"
    source = "complaints c"
    if searched is not None:
        source = "complaint_words w JOIN complaints c USING (complaint_id)"
        conditions.append(f"w.words @@ {parameter(searched, 'text')}::tsquery")
        order = "w.received_at" if column == "received_at" else order
    identity = "w.complaint_id" if searched is not None and column == "received_at" else "c.complaint_id"
    if after is not None:
        place = f"({parameter(after.moment, 'timestamptz')}, {parameter(after.complaint_id, 'uuid')})"
        conditions.append(f"({order}, {identity}) {comparison} {place}")
    ordering = f"ORDER BY {order}{direction}, {identity}{direction}"
    ending = "" if limit is None else f" LIMIT {parameter(limit, 'int')}"
    listed = ", ".join(f"c.{name}" for name in LISTED)
    sql = f"SELECT {listed} FROM {source} WHERE {' AND '.join(conditions)} {ordering}{ending}"
    return Listing(sql, parameters, column)


def _conditions(asked: Filter, parameter: Any) -> list[str]:
    found = []
    if len(asked.status) == 1:
        found.append(f"c.status = {parameter(asked.status[0].value, 'text')}")
    elif asked.status:
        found.append(f"c.status = ANY({parameter([status.value for status in asked.status], 'text[]')})")
    for name in ("administration", "nature", "kind", "region", "province", "commune", "channel", "language"):
        value = getattr(asked, name)
        if value is not None:
            found.append(f"c.{name} = {parameter(str(value), 'text')}")
    if asked.received_from is not None:
        found.append(f"c.received_at >= {parameter(asked.received_from, 'timestamptz')}")
    if asked.received_until is not None:
        found.append(f"c.received_at < {parameter(asked.received_until, 'timestamptz')}")
    if asked.hops is not None:
        found.append(f"c.hops >= {parameter(asked.hops, 'int')}")
    if asked.q is not None:
        reference = parse_reference(asked.q)
        if reference is not None:
            found.append(f"c.reference = {parameter(reference, 'text')}")
        elif query_of(asked.q) is None:
            found.append("false")
    return found


class TrackerQueries:
    """Reads, on a pool of connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def asked_for(self, reference: str, reference_key: str, client_key: str) -> Row | None:
        """The complaint, its timeline and the failed attempts of both keys, in one statement.

        For an unknown reference the row of another complaint, with `asked_for` false; None when there is none at all.
        """
        rows = await self._database.fetch(_ASKED, reference, reference_key, client_key)
        return rows[0] if rows else None

    async def by_reference(self, reference: str) -> Row | None:
        """The row of one complaint."""
        rows = await self._database.fetch(_ONE, reference)
        return rows[0] if rows else None

    async def timeline(self, complaint_id: UUID) -> list[Row]:
        """What happened, in order."""
        return await self._database.fetch(_TIMELINE, complaint_id)

    async def page(self, asked: Filter, now: datetime, after: Cursor | None, limit: int) -> tuple[list[Row], str]:
        """A page, and the column its cursor is made of."""
        query = listing(asked, now, after, limit)
        async with self._database.transaction() as connection:
            return await _planned_for_values(connection, query), query.ordered_by

    async def everything(self, asked: Filter, now: datetime, portion: int = 2_000) -> AsyncIterator[list[Row]]:
        """All complaints of a filter, of one instant, in portions."""
        query = listing(asked, now, None, None)
        async with self._database.transaction() as connection:
            await connection.execute(_CUSTOM_PLAN)
            cursor = await connection.cursor(query.sql, *query.parameters)
            while rows := await cursor.fetch(portion):
                yield rows

    async def changes_after(self, place: tuple[str, int], limit: int) -> list[Row]:
        """Live changes after a place (transaction, id), in the order of their commits' beginnings."""
        return await self._database.fetch(_CHANGES, *place, limit)

    async def last_change(self) -> tuple[str, int]:
        """The place of the newest live change that none can precede any more."""
        rows = await self._database.fetch(_LAST_CHANGE)
        return (rows[0]["transaction"], rows[0]["id"]) if rows else ("0", 0)

    async def first_change(self) -> tuple[str, int] | None:
        """The place of the oldest live change that is kept."""
        rows = await self._database.fetch(_FIRST_CHANGE)
        return (rows[0]["transaction"], rows[0]["id"]) if rows else None

    async def conservation(self, settled_before: datetime) -> tuple[dict[str, int], int, list[str]]:
        """(number per state, accepted, at most 1,000 names in the gap).

        In the gap is what has no state and was received before `settled_before`, or has a state and no submission.
        Younger ones without state are not counted as accepted yet.
        """
        rows = await self._database.fetch(_STATES)
        unsettled = await self._database.fetch(_UNSETTLED, settled_before)
        gap = await self._database.fetch(_GAP, settled_before)
        states = {row["status"]: row["number"] for row in rows}
        accepted = sum(states.values()) - unsettled[0]["count"]
        states.pop("", None)
        return states, accepted, [row["name"] for row in gap]

    async def weekly(self, dimension: str, value: str, first: date, last: date) -> list[Row]:
        """The counters of one value by week."""
        return await self._database.fetch(_WEEKLY, dimension, value, first, last)

    async def by_value(self, dimension: str, first: date, last: date) -> list[Row]:
        """The counters of all values of a dimension."""
        return await self._database.fetch(_BY_VALUE, dimension, first, last)

    async def waiting(self, dimension: str, value: str, measure: str, first: date, last: date) -> dict[date, int]:
        """What still waits, by day of receipt."""
        rows = await self._database.fetch(_WAITING, dimension, measure, value, first, last)
        return {row["received_on"]: row["number"] for row in rows}

    async def backlog(self, dimension: str, value: str | None, measure: str, today: date) -> list[Row]:
        """What waits, and of it what is overdue, by value and age class (its place in AGES)."""
        bounds = [last + 1 for _, last in AGES[:-1]]
        return await self._database.fetch(_BACKLOG, dimension, measure, today, bounds, value)

    async def overdue(self, dimension: str, measure: str, first: date, last: date, today: date) -> dict[str, int]:
        """What was received in the span and waits past its deadline, by value."""
        rows = await self._database.fetch(_OVERDUE, dimension, measure, first, last, today)
        return {row["value"]: row["number"] for row in rows}

    async def lasted(self, dimension: str, value: str, measure: str, first: date, last: date) -> dict[int, int]:
        """How often it took how many days."""
        rows = await self._database.fetch(_LASTED, dimension, value, measure, first, last)
        return {row["days"]: row["number"] for row in rows}


_CUSTOM_PLAN = "SET LOCAL plan_cache_mode = force_custom_plan"


async def _planned_for_values(connection: Connection, query: Listing) -> list[Row]:
    """Runs a listing with a plan for its very values: a status may hold half of all complaints, or none."""
    await connection.execute(_CUSTOM_PLAN)
    return list(await connection.fetch(query.sql, *query.parameters))
