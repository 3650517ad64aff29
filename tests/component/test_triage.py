"""The triage desk on a real database: nobody shares a complaint; decisions wait, can be undone, go out once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from services.classifier.api import make_triage_router
from services.classifier.handlers import ClassifyComplaints, PublishDecisions, restore
from services.classifier.model.serving import ServedModel
from services.classifier.store.triage import TriageQueue
from shared.contracts.envelope import Event
from shared.contracts.events import ComplaintClassified, ComplaintSubmitted
from shared.contracts.topics import CLASSIFIED, SUBMITTED
from shared.database.pool import Database
from shared.messaging.codec import Record, decode
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox, headers_from_text
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.testing.builders import NOON, records_of, submitted_event
from shared.testing.stores import Stores, trusted_database

ROUTE = {"decision": "route", "administration": "sante"}


def vague() -> Event[ComplaintSubmitted]:
    """A complaint that no model can route."""
    return submitted_event("On m'a encore dit de revenir demain", subject="Que faire")


@dataclass
class MovedClock:
    """A clock that a test moves."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time


@dataclass
class Stand:
    database: Database
    client: httpx.AsyncClient
    inbox: Inbox
    publisher: PublishDecisions
    clock: MovedClock
    fed: int = field(default=0)

    async def feed(self, events: Sequence[Event[ComplaintSubmitted]]) -> None:
        records = records_of(SUBMITTED, events, offset=self.fed, sequence=self.fed + 1)
        await self.inbox.commit({(SUBMITTED.name, 0): records}, {(SUBMITTED.name, 0): self.fed})
        self.fed += len(events)

    async def call(self, method: str, path: str, officer: str = "amina", body: Any = None) -> httpx.Response:
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer token-{officer}"})

    async def published(self) -> list[Event[ComplaintClassified]]:
        rows = await self.database.fetch("SELECT * FROM outbox ORDER BY id")
        records = (
            Record(r["topic"], 0, 0, r["key"], (*headers_from_text(r["headers"]), ("ce_sequence", b"1")), r["value"])
            for r in rows
        )
        return [decode(record, CLASSIFIED.events) for record in records]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("classifier")


@pytest.fixture
async def stand(url: str) -> AsyncIterator[Stand]:
    database = await trusted_database(url)
    clock, outbox = MovedClock(), Outbox(database)
    handler = ClassifyComplaints(ServedModel())
    inbox = Inbox("classifier", "classifier", outbox, handler, SUBMITTED.events)
    await inbox.register({(SUBMITTED.name, 0): 0})
    officers = {"amina": "token-amina", "brahim": "token-brahim"}
    router = make_triage_router(TriageQueue(database), clock, officers)
    app = make_app("classifier", HttpSettings(), Health(ready=True), [router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://classifier") as client:
        yield Stand(database, client, inbox, PublishDecisions(outbox, clock), clock)
    await database.close()


async def test_two_officers_never_hold_one_complaint_and_the_oldest_comes_first(stand: Stand) -> None:
    events = [vague() for _ in range(2)]
    await stand.feed(events)
    claims = await asyncio.gather(
        *(stand.call("POST", "/v1/triage/claims", officer) for officer in ("amina", "brahim", "amina", "brahim"))
    )
    by_officer = {officer: {claims[i].json()["complaint_id"] for i in places} for officer, places in HOLDERS.items()}
    assert all(len(held) == 1 for held in by_officer.values())
    assert by_officer["amina"] != by_officer["brahim"]
    assert (await stand.call("GET", "/v1/triage")).json()["held"] == 2


HOLDERS = {"amina": (0, 2), "brahim": (1, 3)}


async def test_a_claim_ends_after_its_time(stand: Stand) -> None:
    await stand.feed([vague()])
    first = await stand.call("POST", "/v1/triage/claims", "amina")
    assert (await stand.call("POST", "/v1/triage/claims", "brahim")).status_code == 204
    stand.clock.time += timedelta(minutes=11)
    second = await stand.call("POST", "/v1/triage/claims", "brahim")
    assert second.json() == first.json()
    decision = await stand.call("POST", f"/v1/triage/{first.json()['complaint_id']}/decision", "amina", ROUTE)
    assert decision.status_code == 409


async def test_a_decision_waits_can_be_undone_and_goes_out_once(stand: Stand) -> None:
    event = vague()
    await stand.feed([event])
    complaint = (await stand.call("POST", "/v1/triage/claims")).json()["complaint_id"]
    path = f"/v1/triage/{complaint}/decision"
    assert (await stand.call("POST", path, body=ROUTE)).status_code == 202
    assert await stand.publisher.publish_due() == 0, "not before its hold is over"
    assert (await stand.call("DELETE", path)).status_code == 204
    stand.clock.time += timedelta(seconds=31)
    assert await stand.publisher.publish_due() == 0, "it was undone"

    assert (await stand.call("POST", path, body={**ROUTE, "nature": "availability"})).status_code == 202
    stand.clock.time += timedelta(seconds=31)
    assert await asyncio.gather(stand.publisher.publish_due(), stand.publisher.publish_due()) in ([0, 1], [1, 0])
    assert (await stand.call("DELETE", path)).status_code == 409
    left, decided = await stand.published()
    assert (left.data.decision, left.data.decided_by) == ("triage", "model")
    assert (decided.data.administration, decided.data.nature) == ("sante", "availability")
    assert decided.data.decided_by == "officer"
    corrections = await stand.database.fetch("SELECT administration, decided_by, text FROM corrections")
    assert [tuple(row)[:2] for row in corrections] == [("sante", "amina")]
    assert (await stand.call("POST", "/v1/triage/claims")).status_code == 204


async def test_a_decided_complaint_does_not_come_back_after_a_restore(stand: Stand) -> None:
    event = vague()
    await stand.feed([event])
    complaint = (await stand.call("POST", "/v1/triage/claims")).json()["complaint_id"]
    await stand.call("POST", f"/v1/triage/{complaint}/decision", body=ROUTE)
    stand.clock.time += timedelta(seconds=31)
    await stand.publisher.publish_due()
    published = await stand.published()
    await stand.database.fetch("TRUNCATE triage_items, classifications, corrections")
    connection = await stand.database.connect()
    await restore(connection, published)
    await connection.close()
    await stand.feed([event])
    assert (await stand.call("POST", "/v1/triage/claims")).status_code == 204
    assert len(await stand.published()) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "route"},
        {"decision": "route", "administration": "nulle-part"},
        {"decision": "inadmissible"},
        {"decision": "inadmissible", "message": "non"},
        {"decision": "triage"},
        {},
    ],
)
async def test_an_incomplete_decision_is_refused(stand: Stand, body: dict[str, str]) -> None:
    await stand.feed([vague()])
    complaint = (await stand.call("POST", "/v1/triage/claims")).json()["complaint_id"]
    answer = await stand.call("POST", f"/v1/triage/{complaint}/decision", body=body)
    assert answer.status_code == 400
    assert orjson.loads(answer.content)["errors"]


async def test_the_desk_is_for_officers(stand: Stand) -> None:
    for method, path in (("GET", "/v1/triage"), ("POST", "/v1/triage/claims")):
        assert (await stand.client.request(method, path)).status_code == 401
        assert (await stand.call(method, path, "nobody")).status_code == 401
