"""What citizens may do with their complaints, over HTTP: durable, once a key, and only with the right code."""

import asyncio
import json
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.contracts.reference import reference
from shared.database.pool import Database

FILING = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "web"}
BODIES: dict[str, dict[str, Any]] = {
    "messages": {"text": "Voici le numéro du dossier"},
    "rating": {"satisfied": False, "text": "Rien n’a changé"},
    "reopening": {"text": "La réponse ne concerne pas ma demande"},
    "withdrawal": {},
    "contact": {"preferred_contact": "sms", "phone": "06 12 34 56 78"},
}


async def filed(client: httpx.AsyncClient) -> dict[str, str]:
    """The receipt of a new complaint."""
    return dict((await client.post("/v1/complaints", json=FILING)).json())


async def act(
    client: httpx.AsyncClient, receipt: dict[str, str], action: str, body: Any, key: str | None = None, **changed: str
) -> httpx.Response:
    given = {**receipt, **changed}
    headers = {"Access-Code": given["access_code"], "Idempotency-Key": key or str(uuid4()), "Accept-Language": "fr"}
    return await client.post(f"/v1/complaints/{given['reference']}/{action}", json=body, headers=headers)


async def actions(database: Database) -> list[dict[str, Any]]:
    rows = await database.fetch("SELECT value FROM outbox WHERE topic = 'complaints.citizen-actions' ORDER BY id")
    return [json.loads(row["value"]) for row in rows]


@pytest.mark.parametrize("action", BODIES)
async def test_an_action_is_durable_before_its_202(client: httpx.AsyncClient, database: Database, action: str) -> None:
    receipt = await filed(client)
    answer = await act(client, receipt, action, BODIES[action])
    assert answer.status_code == 202
    [event] = await actions(database)
    assert (event["complaint_id"], event["action"]) == (receipt["id"], answer.json()["action"])
    assert event["personal"]["content"]["text"] == BODIES[action].get("text", "")


async def test_a_new_contact_is_kept_as_a_number_to_call(client: httpx.AsyncClient, database: Database) -> None:
    await act(client, await filed(client), "contact", BODIES["contact"])
    [event] = await actions(database)
    assert event["preferred_contact"] == "sms"
    assert event["personal"]["content"]["complainant"] == {"phone": "0612345678"}


async def test_the_same_key_acts_once_and_another_body_is_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    receipt = await filed(client)
    answers = await asyncio.gather(*(act(client, receipt, "messages", {"text": "Bonjour"}, "one") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    other = await act(client, receipt, "messages", {"text": "Bonsoir"}, "one")
    assert (other.status_code, other.json()["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")
    assert (await act(client, await filed(client), "messages", {"text": "Bonsoir"}, "one")).status_code == 202
    assert len(await actions(database)) == 2


async def test_a_wrong_reference_and_a_wrong_code_are_answered_alike(
    client: httpx.AsyncClient, database: Database
) -> None:
    receipt, other = await filed(client), await filed(client)
    wrong_code = f"{(int(receipt['access_code']) + 1) % 10**8:08d}"
    unknown = reference(date(2020, 1, 1), 7)
    changes = [
        {"access_code": wrong_code},
        {"access_code": other["access_code"]},
        {"access_code": ""},
        {"reference": "00000-0000-0000-00"},
        {"reference": "nothing"},
        {"reference": unknown, "access_code": wrong_code},
    ]
    answers = [await act(client, receipt, "withdrawal", {}, **change) for change in changes]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert await actions(database) == []


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("messages", {}, "text"),
        ("messages", {"text": ""}, "text"),
        ("messages", {"text": "x" * 8001}, "text"),
        ("messages", {"text": "Bonjour", "channel": "pigeon"}, "channel"),
        ("messages", {"text": "Bonjour", "surprise": 1}, "surprise"),
        ("rating", {"text": "Bien"}, "satisfied"),
        ("rating", {"satisfied": "peut-être"}, "satisfied"),
        ("reopening", {}, "text"),
        ("withdrawal", {"text": "\u200b\x00" * 3 + "x" * 8001}, "text"),
        ("contact", {}, "preferred_contact"),
        ("contact", {"preferred_contact": "sms"}, "body"),
        ("contact", {"preferred_contact": "email", "phone": "0612345678"}, "body"),
        ("contact", {"preferred_contact": "sms", "phone": "abc"}, "phone"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, database: Database, action: str, body: Any, field: str
) -> None:
    answer = await act(client, await filed(client), action, body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.headers["content-language"] == "fr"
    assert await actions(database) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 5000, b'{"text": "\\ud800"}'])
async def test_garbage_is_a_400(client: httpx.AsyncClient, raw: bytes) -> None:
    receipt = await filed(client)
    headers = {"Access-Code": receipt["access_code"]}
    answer = await client.post(f"/v1/complaints/{receipt['reference']}/messages", content=raw, headers=headers)
    assert answer.status_code == 400 and answer.json()["errors"]


async def test_an_action_nobody_knows_is_a_404(client: httpx.AsyncClient) -> None:
    assert (await act(client, await filed(client), "applause", {})).status_code == 404
