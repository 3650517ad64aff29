"""Intake as its composition root builds it, on a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.processes import free_port
from services.intake.service import build
from services.intake.settings import IntakeSettings
from shared.database.pool import Database
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.runtime.http import Health, HttpServer, make_app
from shared.runtime.service import Platform
from shared.testing.stores import Stores, trusted_database
from shared.testing.waiting import until

Serve = Callable[[IntakeSettings], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("intake")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await trusted_database(url)
    yield database
    await database.close()


@pytest.fixture
def settings(url: str, tmp_path: Path) -> IntakeSettings:
    return IntakeSettings(
        kafka_bootstrap_servers="not-used",
        database_url=url,
        instance_id="test",
        access_code_keys={"k1": "00" * 16},
        attachments_folder=tmp_path / "attachments",
        filing_without_client=True,
        signing_keys={"old": "01" * 32, "new": "02" * 32},
    )


@pytest.fixture
def serve(database: Database) -> Serve:
    """Runs intake with some settings."""

    @asynccontextmanager
    async def running(settings: IntakeSettings) -> AsyncIterator[httpx.AsyncClient]:
        stopping = asyncio.Event()
        parts = build(settings, Platform(database, Outbox(database), SystemClock()))
        tasks = [asyncio.create_task(task(stopping)) for task in parts.tasks]
        app = make_app("intake", settings, Health(ready=True), parts.routers, parts.body_limits)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as client:
            yield client
        stopping.set()
        await asyncio.gather(*tasks)

    return running


@pytest.fixture
async def client(settings: IntakeSettings, serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(settings) as client:
        yield client


@pytest.fixture
async def address(settings: IntakeSettings, database: Database) -> AsyncIterator[str]:
    """Intake on a port."""
    settings = settings.model_copy(update={"http_port": free_port()})
    stopping = asyncio.Event()
    parts = build(settings, Platform(database, Outbox(database), SystemClock()))
    server = HttpServer(make_app("intake", settings, Health(ready=True), parts.routers, parts.body_limits), settings)
    tasks = [asyncio.create_task(task(stopping)) for task in parts.tasks]
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield f"http://127.0.0.1:{settings.http_port}"
    server.should_exit = True
    await serving
    stopping.set()
    await asyncio.gather(*tasks)
