"""Limits and turns: a flood slows its sender down and nobody else."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.database.fair_queue import FairQueue
from shared.database.group_commit import GroupCommit, TooManyOfOne
from shared.runtime.problems import Problem
from shared.runtime.rate_limits import RateLimit


def test_senders_take_turns_and_each_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.put(("web", "flood"), f"flood {number}")
    queue.put(("web", "amina"), "amina")
    queue.put(("phone", "karim"), "karim")
    assert queue.take(4) == ["flood 0", "karim", "amina", "flood 1"]
    assert queue.take(2) == ["flood 2", "flood 3"]
    assert (len(queue), queue.of_client("web"), queue.of_client("phone")) == (996, 996, 0)
    assert queue.take(2000)[-1] == "flood 999" and len(queue) == 0


async def test_a_client_may_fill_half_of_the_queue() -> None:
    async def commit(items: Sequence[str]) -> Sequence[str]:
        return items

    group: GroupCommit[str, str] = GroupCommit(commit, waiting=4)
    waiting = [asyncio.create_task(group.submit(name, ("web", name))) for name in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(TooManyOfOne):
        await group.submit("c", ("web", "c"))
    waiting.append(asyncio.create_task(group.submit("d", ("phone", "d"))))
    committing = asyncio.create_task(group.run())
    assert await asyncio.gather(*waiting) == ["a", "b", "d"]
    committing.cancel()


def test_a_quota_is_spent_refused_and_given_back() -> None:
    now = 1000.0
    limit = RateLimit("person", 3, 60, seconds=lambda: now)
    left = [limit.spend("amina")["ratelimit"] for _ in range(3)]
    assert left == ['"person";r=2;t=20', '"person";r=1;t=40', '"person";r=0;t=60']
    with pytest.raises(Problem) as refused:
        limit.spend("amina")
    assert refused.value.status == 429
    assert refused.value.headers["retry-after"] == "20"
    assert refused.value.headers["ratelimit-policy"] == '"person";q=3;w=60'
    assert limit.spend("karim")["ratelimit"] == '"person";r=2;t=20'
    now += 20
    assert limit.spend("amina")["ratelimit"] == '"person";r=0;t=60'
    now += 3600
    assert limit.spend("amina")["ratelimit"] == '"person";r=2;t=20'
