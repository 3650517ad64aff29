"""Runs a service: settings in, signals, start in order, graceful stop in the reverse order.

Start: the HTTP server answers `/health/live`; the database is verified against Kafka (`shared.messaging.recovery`);
then consumers, the relay and the service's own tasks run, and `/health/ready` answers 200.
Stop (SIGTERM, SIGINT): not ready; requests under way are answered; consumers finish their batch; the relay empties
the outbox.
A task that ends with an error ends the process with exit code 1: its supervisor starts it again.
"""

import asyncio
import functools
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvloop
from fastapi import APIRouter

from shared.contracts.envelope import AnyEvent
from shared.database.pool import Connection, Database
from shared.messaging.codec import Outgoing
from shared.messaging.consumer import Consumer
from shared.messaging.lost_connections import expect_lost_connections
from shared.messaging.outbox import Outbox
from shared.messaging.recovery import OPERATOR_ERRORS, Recovery, Restore
from shared.messaging.relay import Relay
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.http import Health, HttpServer, make_app
from shared.runtime.logging import configure_logging
from shared.runtime.settings import HttpSettings, ServiceSettings

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 10.0

Task = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Runs until the event it is given is set."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a composition root builds on."""

    database: Database
    outbox: Outbox
    clock: Clock


async def nothing_to_restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """For a service whose state is made of its inputs alone."""
    return ()


@dataclass(slots=True)
class Parts:
    """What a composition root returns."""

    routers: Sequence[APIRouter] = ()
    consumers: Sequence[Consumer] = ()
    tasks: Sequence[Task] = ()
    restore: Restore = nothing_to_restore
    body_limits: Mapping[str, int] = field(default_factory=dict)
    """Path prefix → most bytes of a request body there, where it is not the service's general limit."""
    works_without_kafka: bool = False
    """Whether HTTP work may begin while Kafka is away (see `shared.messaging.recovery`)."""


def run_service(service: str, settings: ServiceSettings, build: Callable[[Platform], Parts]) -> None:
    """Runs an event service until it is told to stop. Exits with 1 when a part of it failed."""
    configure_logging(service, settings.log_level)
    expect_lost_connections()
    gc.freeze()
    sys.exit(uvloop.run(_serve_events(service, settings, build)))


def run_web(service: str, settings: HttpSettings, build: Callable[[], Sequence[APIRouter]]) -> None:
    """Runs a service that only serves HTTP."""
    configure_logging(service, settings.log_level)
    sys.exit(uvloop.run(_serve_web(service, settings, build)))


async def _serve_events(service: str, settings: ServiceSettings, build: Callable[[Platform], Parts]) -> int:
    stopping = asyncio.Event()
    _listen_for_signals(stopping)
    database = Database(settings.database_url)
    await database.open()
    outbox = Outbox(database)
    parts = build(Platform(database, outbox, SystemClock()))
    recovery = Recovery(service, database, settings.kafka_bootstrap_servers, parts.restore)
    health = Health()
    server = HttpServer(make_app(service, settings, health, parts.routers, parts.body_limits), settings)
    http = asyncio.create_task(server.serve())
    try:
        if await _unless_stopped(recovery.verify(without_kafka=parts.works_without_kafka), stopping):
            health.ready = True
            log.info("ready")
            relay = Relay(service, database, outbox, settings.kafka_bootstrap_servers)
            watch = functools.partial(recovery.watch, without_kafka=parts.works_without_kafka)
            tasks: list[Task] = [*(consumer.run for consumer in parts.consumers), watch, *parts.tasks]
            failed = await _work(_Web(server, http, health), tasks, relay, stopping)
        else:
            failed = await _Web(server, http, health).finish()
    except OPERATOR_ERRORS as error:
        log.error("cannot_start", reason=str(error))
        await _Web(server, http, health).finish()
        failed = True
    await database.close()
    log.info("stopped", failed=failed)
    return int(failed)


@dataclass(frozen=True, slots=True)
class _Web:
    server: HttpServer
    serving: "asyncio.Task[None]"
    health: Health

    async def finish(self) -> bool:
        """Answers the requests under way and takes no new ones. Whether serving failed."""
        self.health.ready = False
        self.server.should_exit = True
        return await _finish([self.serving])


async def _work(web: _Web, tasks: Sequence[Task], relay: Relay, stopping: asyncio.Event) -> bool:
    """Works until the signal to stop, or until a part ends; then ends requests, tasks and relay. Whether one failed."""
    until_tasks, until_relay = asyncio.Event(), asyncio.Event()
    relaying = asyncio.create_task(relay.run(until_relay))
    running = [asyncio.create_task(task(until_tasks)) for task in tasks]
    await _until_stopped(stopping, [web.serving, relaying, *running])
    failed = await web.finish()
    until_tasks.set()
    failed |= await _finish(running)
    until_relay.set()
    return await _finish([relaying]) or failed


async def _serve_web(service: str, settings: HttpSettings, build: Callable[[], Sequence[APIRouter]]) -> int:
    stopping = asyncio.Event()
    _listen_for_signals(stopping)
    server = HttpServer(make_app(service, settings, Health(ready=True), build()), settings)
    http = asyncio.create_task(server.serve())
    await _until_stopped(stopping, [http])
    server.should_exit = True
    return int(await _finish([http]))


def _listen_for_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)


async def _unless_stopped(work: Awaitable[None], stopping: asyncio.Event) -> bool:
    """Whether `work` ended before the signal to stop; raises what it raised."""
    working = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if working.done():
        working.result()
        return True
    working.cancel()
    return False


async def _until_stopped(stopping: asyncio.Event, tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Returns on the signal to stop, or when a task ended, which none should before it."""
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()


async def _finish(tasks: Sequence["asyncio.Task[None]"]) -> bool:
    """Gives tasks the grace time to end, then cancels them, then leaves them behind. Whether one failed."""
    _, late = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
    for task in late:
        task.cancel()
    done, left_behind = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
    failures = [error for task in done if not task.cancelled() and (error := task.exception()) is not None]
    for failure in failures:
        log.error("task_failed", exc_info=failure)
    for task in left_behind:
        log.error("task_does_not_end", task=repr(task))
    return bool(failures or left_behind)
