"""Group commit: a bad item harms nobody, a transient failure is everybody's, and the queue has an end."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.database.group_commit import GroupCommit, Overloaded
from shared.database.pool import IncarnationNotTrusted


async def commit(items: Sequence[int]) -> Sequence[int]:
    """A database: it refuses 13, and goes away at 503."""
    await asyncio.sleep(0)
    if 503 in items:
        raise IncarnationNotTrusted
    if 13 in items:
        raise ValueError("13")
    return [2 * item for item in items]


async def outcomes(items: Sequence[int], largest: int = 256) -> list[int | BaseException]:
    group: GroupCommit[int, int] = GroupCommit(commit, largest=largest)
    committing = asyncio.create_task(group.run())
    results = await asyncio.gather(*(group.submit(item) for item in items), return_exceptions=True)
    committing.cancel()
    return results


async def test_a_bad_item_harms_nobody_in_its_group() -> None:
    results = await outcomes([1, 13, 2])
    assert results[::2] == [2, 4]
    assert isinstance(results[1], ValueError)


async def test_a_transient_failure_is_everybodys_who_waits() -> None:
    results = await outcomes([1, 503, 3, 4], largest=2)
    assert [type(result) for result in results] == [IncarnationNotTrusted] * 4


async def test_a_full_queue_refuses_at_once() -> None:
    group: GroupCommit[int, int] = GroupCommit(commit, waiting=2)
    waiting = [asyncio.create_task(group.submit(item)) for item in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await group.submit(3)
    committing = asyncio.create_task(group.run())
    assert await asyncio.gather(*waiting) == [2, 4]
    committing.cancel()
