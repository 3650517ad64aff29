"""Many callers, one commit: concurrent requests are gathered for as long as the last commit takes.

A commit costs about a millisecond and commits on one outbox queue behind each other; gathering turns a
thousand requests a second into some dozens of commits, and costs a lone request nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.database.fair_queue import FairQueue, Sender
from shared.database.pool import is_transient

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(Exception):
    """More items wait than can be committed in reasonable time: try again later."""


class TooManyOfOne(Exception):
    """More items of one client wait than is its share: it should slow down."""


class GroupCommit(Generic[Item, Result]):
    """Hands items to `commit` in groups of at most `largest`, one group at a time.

    `commit` answers one result per item, in order, after its transaction is durable. A group that fails on
    its data is committed again item by item, so that one bad item harms nobody; a transient failure is everybody's
    who waits, so that nobody is committed long after they gave up. Senders take turns. At most `waiting` items wait,
    half of them of one client, so that a client that sends too much leaves room for the others.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        largest: int = 256,
        waiting: int = 4_096,
    ) -> None:
        self._commit = commit
        self._largest = largest
        self._most_waiting = waiting
        self._waiting: FairQueue[tuple[Item, asyncio.Future[Result]]] = FairQueue()
        self._arrived = asyncio.Event()

    async def submit(self, item: Item, sender: Sender = ("", "")) -> Result:
        """The result of `item`, once committed. Raises what its commit raised, Overloaded, and TooManyOfOne."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded(f"{len(self._waiting)} items wait to be committed")
        if sender[0] and self._waiting.of_client(sender[0]) >= max(self._most_waiting // 2, 1):
            raise TooManyOfOne(f"{self._waiting.of_client(sender[0])} items of {sender[0]} wait to be committed")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put(sender, (item, future))
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Commits groups until cancelled."""
        while True:
            await self._arrived.wait()
            group = self._waiting.take(self._largest)
            if not len(self._waiting):
                self._arrived.clear()
            await self._settle(group)

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Commits groups until `stopping` is set."""
        committing = asyncio.create_task(self.run())
        await stopping.wait()
        committing.cancel()

    async def _settle(self, group: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await self._commit([item for item, _ in group])
        except Exception as error:
            if is_transient(error):
                group = [*group, *self._waiting.take(len(self._waiting))]
            if len(group) == 1 or is_transient(error):
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                return
            for single in group:
                await self._settle([single])
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
