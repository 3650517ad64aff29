"""Intake's API on a real database: durable receipts, idempotency, and problems that name the field."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.intake.api.filing import make_router
from services.intake.attachment_store import AttachmentQueries
from services.intake.client_store import ClientQueries
from services.intake.clients import Clients
from services.intake.domain.filing import Submission
from services.intake.handlers import AcceptSubmissions, Outcome, restore
from services.intake.limits import Limits
from services.intake.receipts import Receipts
from shared.contracts.envelope import Event
from shared.contracts.events import ComplaintSubmitted
from shared.contracts.reference import AccessCodes, parse_reference
from shared.database.group_commit import GroupCommit
from shared.database.pool import Connection, Database
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.runtime.signatures import Signer

CODES = AccessCodes({"k1": b"secret"}, current="k1")
RECEIPTS = Receipts(Signer({"k1": b"1" * 32}))
UNHELPFUL = {"قيمة غير صالحة", "Valeur non valable", "Not a valid value"}
BODY = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "web"}


async def post(client: httpx.AsyncClient, body: Any, key: str | None = None, language: str = "fr") -> httpx.Response:
    headers = {"Accept-Language": language, "Idempotency-Key": key or str(uuid4())}
    return await client.post("/v1/complaints", json=body, headers=headers)


async def journal(database: Database) -> list[str]:
    return [row["value"].decode() for row in await database.fetch("SELECT value FROM outbox ORDER BY id")]


async def test_a_receipt_is_durable_and_complete(client: httpx.AsyncClient, database: Database) -> None:
    answer = await post(client, BODY)
    receipt = answer.json()
    assert answer.status_code == 201
    assert parse_reference(receipt["reference"]) == receipt["reference"]
    assert len(receipt["access_code"]) == 8
    events = await journal(database)
    assert len(events) == 1
    assert receipt["reference"] in events[0]
    assert receipt["access_code"] not in events[0]


async def test_the_same_key_gets_the_same_receipt_and_another_body_is_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    answers = await asyncio.gather(*(post(client, BODY, key="one") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    other = await post(client, {**BODY, "text": "Autre chose"}, key="one")
    assert other.status_code == 422
    assert len(await journal(database)) == 1


async def test_concurrent_filings_each_get_their_own_reference(client: httpx.AsyncClient, database: Database) -> None:
    answers = await asyncio.gather(*(post(client, BODY) for _ in range(300)))
    assert len({answer.json()["reference"] for answer in answers}) == 300
    assert len(await journal(database)) == 300


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "x" * 8001}, "text"),
        ({"text": None}, "text"),
        ({"subject": "ab"}, "subject"),
        ({"channel": "pigeon"}, "channel"),
        ({"administration": "nulle-part"}, "administration"),
        ({"complainant": {"phone": "abc"}}, "complainant.phone"),
        ({"complainant": {"email": "a@b"}}, "complainant.email"),
        ({"place": {"latitude": 91}}, "place.latitude"),
        ({"surprise": 1}, "surprise"),
        ({"preferred_contact": "sms"}, "body"),
    ],
)
@pytest.mark.parametrize("language", ["ar", "fr", "en"])
async def test_a_wrong_field_is_named_in_the_callers_language(
    client: httpx.AsyncClient, change: dict[str, Any], field: str, language: str
) -> None:
    answer = await post(client, {**BODY, **change}, language=f"{language}-MA,xx;q=0.5")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == language
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert all(error["message"] for error in answer.json()["errors"])
    assert "text" not in change or answer.json()["errors"][0]["message"] not in UNHELPFUL


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'"text"', b"[" * 5000, b'{"text": "\\ud800"}'])
async def test_garbage_is_a_400(client: httpx.AsyncClient, raw: bytes) -> None:
    answer = await client.post("/v1/complaints", content=raw)
    assert answer.status_code == 400
    assert answer.json()["errors"]


async def test_a_body_over_the_limit_is_a_413(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    assert (await client.post("/v1/complaints", content=b"x" * 300_000)).status_code == 413
    assert (await client.post("/v1/complaints", content=endless())).status_code == 413


async def test_text_is_normalised_and_never_cleaned_of_meaning(client: httpx.AsyncClient, database: Database) -> None:
    text = "Cafe\u0301 \x00<b>«الماء مقطوع»</b> '; DROP TABLE 🙏\r\nligne"
    assert (await post(client, {**BODY, "text": text})).status_code == 201
    assert "Café <b>«الماء مقطوع»</b> '; DROP TABLE 🙏\\nligne" in (await journal(database))[0]


async def test_a_key_is_known_again_after_a_restore(client: httpx.AsyncClient, database: Database) -> None:
    """The submissions table went back in time and is rebuilt from the events: same key, same receipt."""
    first = await post(client, BODY, key="one")
    (value,) = await journal(database)
    (row,) = await database.fetch("DELETE FROM submissions RETURNING key, complaint_id")
    data = ComplaintSubmitted.model_validate_json(value)
    event = Event(row["complaint_id"], "/chikaya/intake", row["complaint_id"], data.received_at, row["key"], data)

    async def work(connection: Connection) -> None:
        await restore(connection, [event])

    await database.run(work)
    assert (await post(client, BODY, key="one")).json() == first.json()
    assert (await post(client, {**BODY, "text": "Autre chose"}, key="one")).status_code == 422
    assert len(await journal(database)) == 1


async def test_too_many_at_once_are_asked_to_come_back(database: Database) -> None:
    full: GroupCommit[Submission, Outcome] = GroupCommit(AcceptSubmissions(Outbox(database)), waiting=0)
    clients = Clients(ClientQueries(database), None, SystemClock(), without_client=True)
    router = make_router(full, SystemClock(), CODES, RECEIPTS, clients, Limits(100, 100), AttachmentQueries(database))
    app = make_app("intake", HttpSettings(), Health(ready=True), [router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as client:
        refused = await post(client, BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == "application/problem+json"
    assert await journal(database) == []
