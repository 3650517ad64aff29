"""Schema migrations: Alembic, forward only, one runner at a time per database.

A service's schema has two independent branches: its own (`services/<name>/migrations`) and the messaging tables
(`shared/messaging/migrations`). A migration lists SQL statements; it never goes back, and a released one is never
changed: expand first, contract in a later release.
"""

import asyncio
import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_ROOT = Path(__file__).resolve().parents[2]
_MIGRATION_LOCK = 0x43484B04


def migrate(url: str, service: str) -> None:
    """Brings one service's database to the newest schema; waits for another runner. `url` is postgresql://…"""
    asyncio.run(_migrate(url, service))


async def _migrate(url: str, service: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    command.upgrade(_config(connection, service), "heads")


def _config(connection: Connection, service: str) -> Config:
    folders = (_ROOT / "services" / service / "migrations", _ROOT / "shared" / "messaging" / "migrations")
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "shared" / "database" / "alembic"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(str(folder) for folder in folders))
    config.attributes["connection"] = connection
    return config
