"""Schemathesis drives intake by its OpenAPI document, with every check whose premise holds here.

Two checks are left out. Text is normalised before it is measured (NFC, control characters, space around), and words
like "33.5" are taken for numbers, as a table gives them: both make intake accept some of what the schema refuses. And
what no schema says (a known attachment, a contact for the preferred way) makes it refuse some of what that accepts.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.commands.contracts import OPENAPI
from deploy.commands.options import CHECKOUT
from services.intake import client_store
from services.intake.clients import SCOPES, digest_of, new_api_key
from services.intake.settings import IntakeSettings
from shared.database.pool import Connection, Database

_LEFT_OUT = "negative_data_rejection,positive_data_acceptance"
_PROGRAM = Path(sys.executable).with_name("schemathesis")
_HOOKS = "tests.component.intake.schemathesis_hooks"


@pytest.fixture
def settings(settings: IntakeSettings) -> IntakeSettings:
    return settings.model_copy(update={"filing_without_client": False})


@pytest.fixture
async def api_key(database: Database) -> str:
    """Of a client that may do everything."""
    api_key = new_api_key()

    async def work(connection: Connection) -> None:
        await client_store.add(connection, "schemathesis", digest_of(api_key), SCOPES)

    await database.run(work)
    return api_key


@pytest.mark.timeout(900)
async def test_schemathesis_finds_nothing(address: str, api_key: str, full: bool, tmp_path: Path) -> None:
    arguments = [
        *("run", str(OPENAPI / "intake.json"), "--url", address, "--header", f"Authorization: Bearer {api_key}"),
        *("--checks", "all", "--exclude-checks", _LEFT_OUT, "--seed", "1", "--warnings", "off"),
        *("--max-examples", "100" if full else "5", "--generation-database", "none"),
    ]

    def run() -> "subprocess.CompletedProcess[str]":
        # In a folder of its own: it keeps what it found, and would try that first the next time.
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": _HOOKS, "PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(
            [_PROGRAM, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    ran = await asyncio.to_thread(run)
    assert ran.returncode == 0, ran.stdout[-8_000:] + ran.stderr[-2_000:]
