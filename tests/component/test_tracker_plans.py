"""The hot queries of the tracker find their rows by an index, on enough complaints for the planner to have a choice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.tracker.domain.listing import Cursor, Filter
from services.tracker.store import queries
from services.tracker.store.queries import listing
from shared.contracts.reference import parse_reference
from shared.testing.read_model import FILLED_UNTIL, fill
from shared.testing.stores import Stores

LISTS: list[dict[str, Any]] = [
    {},
    {"status": ("answered",)},
    {"status": ("in_triage",)},
    {"administration": "sante"},
    {"administration": "sante", "overdue": "answer"},
    {"overdue": "answer"},
    {"overdue": "forward"},
    {"province": "014"},
    {"commune": "01403"},
    {"nature": "delay", "channel": "web"},
    {"hops": 2},
    {"q": "المستشفى"},
    {"q": "mot1234"},
    {"q": "eau mot12"},
    {"q": "26001-0000-0000-81"},
    {"received_from": FILLED_UNTIL - timedelta(days=9), "received_until": FILLED_UNTIL - timedelta(days=8)},
]


@pytest.fixture(scope="module")
def url(stores: Stores, full: bool) -> Iterator[str]:
    found = stores.database("tracker")
    asyncio.run(fill(found, 200_000 if full else 10_000))
    yield found


@pytest.fixture
async def connection(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    found = await asyncpg.connect(url)
    await found.execute("SET plan_cache_mode = force_custom_plan")
    yield found
    await found.close()


async def plan(connection: "asyncpg.Connection[asyncpg.Record]", sql: str, *parameters: Any) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *parameters))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("asked", LISTS, ids=str)
async def test_a_list_reads_an_index(connection: "asyncpg.Connection[asyncpg.Record]", asked: dict[str, Any]) -> None:
    query = listing(Filter(**asked), FILLED_UNTIL, None, 50)
    first = await plan(connection, query.sql, *query.parameters)
    assert "Seq Scan" not in first, first
    rows = await connection.fetch(query.sql, *query.parameters)
    if len(rows) == 50:
        after = Cursor(rows[-1][query.ordered_by], rows[-1]["complaint_id"])
        following = listing(Filter(**asked), FILLED_UNTIL, after, 50)
        second = await plan(connection, following.sql, *following.parameters)
        assert "Seq Scan" not in second, second


async def test_the_other_hot_queries_read_an_index(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    day = FILLED_UNTIL.date()
    reference = await connection.fetchval("SELECT reference FROM complaints LIMIT 1")
    assert parse_reference(reference)
    for sql, parameters in (
        (queries._ASKED, (reference, "reference x", "client y")),
        (queries._TIMELINE, (await connection.fetchval("SELECT complaint_id FROM complaints LIMIT 1"),)),
        (queries._UNSETTLED, (FILLED_UNTIL,)),
        (queries._GAP, (FILLED_UNTIL,)),
        (queries._WEEKLY, ("administration", "sante", day - timedelta(days=364), day)),
        (queries._LASTED, ("administration", "sante", "answer", day - timedelta(days=364), day)),
        (queries._WAITING, ("administration", "answer", "sante", day - timedelta(days=364), day)),
        (queries._BACKLOG, ("administration", "answer", day, [8, 16, 31, 61], "sante")),
    ):
        shown = await plan(connection, sql, *parameters)
        assert not [line for line in shown.splitlines() if "Seq Scan" in line and "access_failures" not in line], shown
