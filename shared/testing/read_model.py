"""A read model of the tracker with as many complaints as wanted, filled the way a rebuild fills it."""

import asyncpg

from services.tracker.rebuild import Rebuild
from services.tracker.store import bulk
from shared.testing.builders import NOON
from shared.testing.histories import histories

FILLED_UNTIL = NOON
"""The present of the complaints in it."""

_AT_ONCE = 20_000


async def fill(url: str, complaints: int, seed: int = 1, days: int = 730) -> int:
    """Fills the database with seeded complaints of the `days` before FILLED_UNTIL; how many events they had."""
    connection = await asyncpg.connect(url)
    events = 0
    try:
        await bulk.prepare(connection)
        building = Rebuild(bulk.Loading(connection))
        for number, one in enumerate(histories(complaints, seed, FILLED_UNTIL, days), 1):
            of_one = one.events()
            events += len(of_one)
            await building.feed(of_one)
            if number % _AT_ONCE == 0:
                await building.finish_complaints()
        await building.finish_complaints()
        await building.finish()
        await bulk.index(connection)
        async with connection.transaction():
            await bulk.switch(connection, {})
        return events
    finally:
        await connection.close()
