"""The OpenAPI documents of the services, made from their routes."""

import json
from pathlib import Path

from services.intake.api.documentation import document
from services.intake.service import build
from services.intake.settings import IntakeSettings
from shared.database.pool import Database
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.runtime.http import Health, make_app
from shared.runtime.service import Platform


def openapi_files() -> dict[str, str]:
    """The text of every document, by file name. Nothing is connected to."""
    settings = IntakeSettings(
        kafka_bootstrap_servers="none",
        database_url="postgresql://none",
        instance_id="none",
        attachments_folder=Path("none"),
        access_code_keys={"none": "00"},
        signing_keys={"none": "00" * 32},
    )
    database = Database(settings.database_url)
    parts = build(settings, Platform(database, Outbox(database), SystemClock()))
    app = make_app("intake", settings, Health(), parts.routers)
    return {"intake.json": f"{json.dumps(document(app), indent=2, ensure_ascii=False)}\n"}
