"""Work that is done again and again in the background of a service."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from shared.database.pool import is_transient

log = structlog.get_logger(__name__)


async def repeat(work: Callable[[], Awaitable[bool]], seconds: float, stopping: asyncio.Event) -> None:
    """Does `work` every so many seconds until `stopping` is set, at once again while it answers that there is more.

    A transient error is logged and the work done again at its next time; any other is raised.
    """
    while not stopping.is_set():
        try:
            more = await work()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("work_postponed", error=repr(error))
            more = False
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), seconds)
