"""Waiting for what a distributed system does in its own time."""

import asyncio
import time
from collections.abc import Callable

_LOOK_EVERY_SECONDS = 0.1


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Returns once `condition` holds. Raises AssertionError when it does not within `seconds`."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(_LOOK_EVERY_SECONDS)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """The same without blocking the event loop; `condition` runs in a thread."""
    await asyncio.to_thread(wait_until, condition, seconds)
