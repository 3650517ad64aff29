"""Filings without a key are not doubled; one who sends too much, or guesses codes, is slowed down."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.intake.domain.filing import Filing, submission
from services.intake.handlers import AcceptSubmissions, Outcome
from services.intake.settings import IntakeSettings
from shared.contracts.reference import reference
from shared.database.pool import Database
from shared.messaging.outbox import Outbox
from shared.testing.builders import NOON

Serve = Callable[[IntakeSettings], AbstractAsyncContextManager[httpx.AsyncClient]]
FILING = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "phone"}
AMINA = {"complainant": {"phone": "0612345678"}}


async def post(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post("/v1/complaints", json=FILING | changes)


async def test_a_repeat_without_a_key_gets_the_first_receipt(client: httpx.AsyncClient) -> None:
    first = await post(client, **AMINA)
    again = await asyncio.gather(*(post(client, **AMINA) for _ in range(5)))
    assert {answer.content for answer in again} == {first.content}
    assert "idempotent-replayed" not in first.headers
    assert {answer.headers["idempotent-replayed"] for answer in again} == {"true"}
    other_words = await post(client, **AMINA, text="Autre chose")
    somebody_else = await post(client, complainant={"phone": "0687654321"})
    assert len({first.json()["id"], other_words.json()["id"], somebody_else.json()["id"]}) == 3


async def test_neighbours_may_complain_in_the_same_words(client: httpx.AsyncClient) -> None:
    """Nothing tells one anonymous sender from another: nobody is given a receipt that may be another's."""
    assert (await post(client)).json()["id"] != (await post(client)).json()["id"]


@pytest.mark.parametrize(("later", "repeated"), [(1, True), (9, True), (11, False), (25, False)])
@pytest.mark.parametrize("start", [0, 5, 9.99])
async def test_a_repeat_is_one_for_some_minutes(database: Database, start: float, later: int, repeated: bool) -> None:
    accept = AcceptSubmissions(Outbox(database))

    async def file(now: datetime, number: int) -> Outcome:
        filing = Filing.model_validate(FILING | AMINA)
        complaint_id = uuid4()
        [outcome] = await accept([submission(filing, "phone", None, complaint_id, number, now, "k1")])
        return outcome

    began = NOON + timedelta(minutes=start)
    first = await file(began, 1)
    second = await file(began + timedelta(minutes=later), 2)
    assert not first.repeated
    assert second.repeated is repeated


async def test_one_person_filing_too_much_is_asked_to_wait(serve: Serve, settings: IntakeSettings) -> None:
    async with serve(settings.model_copy(update={"person_requests_an_hour": 3})) as client:
        answers = [await post(client, **AMINA, text=f"Encore {number}") for number in range(5)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]
        assert answers[0].headers["ratelimit"] == '"person";r=2;t=1200'
        assert 1100 < int(answers[3].headers["retry-after"]) <= 1200
        assert answers[3].headers["content-type"] == "application/problem+json"
        assert (await post(client)).status_code == 201


async def test_a_client_sending_too_much_is_asked_to_wait(serve: Serve, settings: IntakeSettings) -> None:
    async with serve(settings.model_copy(update={"client_requests_a_minute": 2})) as client:
        assert [(await post(client)).status_code for _ in range(3)] == [201, 201, 429]


async def test_access_codes_cannot_be_guessed(client: httpx.AsyncClient) -> None:
    receipt = (await post(client)).json()

    async def guess(named: str, code: str) -> int:
        headers = {"Access-Code": code}
        return (await client.get(f"/v1/complaints/{named}/receipt", headers=headers)).status_code

    wrong = "1" if receipt["access_code"] != "00000001" else "2"
    unknown = reference(date(2020, 1, 1), 7)
    for each in (receipt["reference"], unknown):
        assert {await guess(each, wrong) for _ in range(20)} == {404}
        assert await guess(each, receipt["access_code"]) == 429
