"""The registry of administrations on a real database: steps, parked complaints released in order, replies over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from services.dispatcher import registry_store
from services.dispatcher.administrations import Administrations, MoveQueues, RestoreRegistry
from services.dispatcher.api import make_provisioning_router, make_registry_router, make_replies_router
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases, ApplyReplies, RestoreCases
from services.dispatcher.replies import AcceptReplies, Reply, ReplyOutcome
from shared.contracts.administrations import RESORTS, registry
from shared.contracts.envelope import Event
from shared.contracts.events import AdministrationReplied, ComplaintClassified, ComplaintSubmitted, Decision, Nature
from shared.contracts.topics import CLASSIFIED, SUBMITTED, topic_named
from shared.database.group_commit import GroupCommit
from shared.database.pool import Connection, Database
from shared.messaging.codec import Outgoing, Record, decode
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox, headers_from_text
from shared.runtime.clock import SystemClock
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.testing.administration import reply_headers
from shared.testing.builders import NOON, records_of, submitted_event
from shared.testing.stores import Stores, trusted_database

POLICY = Policy.load()
CLOCK = SystemClock()
CODE = "energie"
TOKEN = "token-of-energie"
HASH = sha256(TOKEN.encode()).hexdigest()


def classified(submitted: Event[ComplaintSubmitted], code: str = CODE) -> Event[ComplaintClassified]:
    data = ComplaintClassified(
        complaint_id=submitted.subject,
        decision=Decision.ROUTE,
        administration=code,
        nature=Nature.AVAILABILITY,
        kind=submitted.data.kind,
        model_version="test",
    )
    return submitted.derive("classify", "/chikaya/classifier", NOON, data)


@dataclass
class Stand:
    database: Database
    client: httpx.AsyncClient
    inbox: Inbox
    mover: MoveQueues
    fed: int = field(default=0)

    async def file(self, number: int, code: str = CODE) -> list[Event[ComplaintSubmitted]]:
        """Complaints for an administration, received one after the other, as the dispatcher reads them."""
        events = []
        for place in range(self.fed, self.fed + number):
            event = submitted_event()
            received = event.data.model_copy(update={"received_at": NOON + timedelta(seconds=place)})
            events.append(replace(event, data=received))
        submitted = records_of(SUBMITTED, events, offset=self.fed, sequence=self.fed + 1)
        decided = records_of(CLASSIFIED, [classified(e, code) for e in events], offset=self.fed, sequence=self.fed + 1)
        places = {(SUBMITTED.name, 0): self.fed, (CLASSIFIED.name, 0): self.fed}
        self.fed += number
        await self.inbox.commit({(SUBMITTED.name, 0): submitted, (CLASSIFIED.name, 0): decided}, places)
        return events

    async def call(self, method: str, path: str, token: str = "operations", body: Any = None) -> httpx.Response:
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})

    async def state(self, code: str = CODE) -> str:
        return str((await self.call("GET", f"/v1/administrations/{code}")).json()["state"])

    async def report(self, step: str, generation: int = 1, code: str = CODE) -> httpx.Response:
        body = {"step": step, "generation": generation, "token_sha256": HASH if step == "provisioned" else None}
        return await self.call("POST", f"/v1/provisioning/{code}/reports", "provisioner", body)

    async def tasks(self) -> list[tuple[str, str, int]]:
        found = (await self.call("GET", "/v1/provisioning", "provisioner")).json()["tasks"]
        return [(one["code"], one["task"], one["generation"]) for one in found]

    async def onboard(self) -> None:
        """As far as the release of what is parked."""
        await self.call("POST", f"/v1/administrations/{CODE}/onboarding")
        await self.report("provisioned")
        await self.report("probed")

    async def said(self, topic: str) -> list[Record]:
        rows = await self.database.fetch("SELECT * FROM outbox WHERE topic = $1 ORDER BY id", topic)
        return [
            Record(r["topic"], 0, 0, r["key"], (*headers_from_text(r["headers"]), ("ce_sequence", b"1")), r["value"])
            for r in rows
        ]

    async def forwarded(self, code: str = CODE) -> list[str]:
        """The references in an inbox, in order."""
        data = [json.loads(record.value or b"") for record in await self.said(f"administrations.{code}.inbox")]
        return [one["reference"] for one in data if "reference" in one]


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("dispatcher")


@pytest.fixture
async def stand(url: str) -> AsyncIterator[Stand]:
    database = await trusted_database(url)
    await database.run(lambda connection: registry_store.seed(connection, registry().values()))
    outbox = Outbox(database)
    events = (*SUBMITTED.events, *CLASSIFIED.events)
    inbox = Inbox("dispatcher", "dispatcher", outbox, AdvanceCases(POLICY, CLOCK), events)
    await inbox.register({(SUBMITTED.name, 0): 0, (CLASSIFIED.name, 0): 0})
    steps, queries = Administrations(outbox, CLOCK), registry_store.RegistryQueries(database)
    replies: GroupCommit[Reply, ReplyOutcome] = GroupCommit(AcceptReplies(outbox, ApplyReplies(POLICY, CLOCK)))
    routers = [
        make_registry_router(steps, queries, "operations"),
        make_provisioning_router(steps, queries, "provisioner"),
        make_replies_router(queries, replies),
    ]
    committing = asyncio.create_task(replies.run())
    app = make_app("dispatcher", HttpSettings(), Health(ready=True), routers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatcher") as client:
        yield Stand(database, client, inbox, MoveQueues(outbox, POLICY, CLOCK))
    committing.cancel()
    await database.close()


async def test_the_list_is_seeded_once_and_never_takes_a_state_back(stand: Stand) -> None:
    await stand.call("POST", f"/v1/administrations/{CODE}/onboarding")
    renamed = [replace(body, name_fr="Autre nom") for body in registry().values() if body.code == CODE]
    connection = await stand.database.connect()
    await registry_store.seed(connection, registry().values())
    await registry_store.seed(connection, renamed)
    await connection.close()
    every = (await stand.call("GET", "/v1/administrations")).json()["administrations"]
    assert len(every) == len(registry()) == 50
    states = [one["state"] for one in every]
    assert (states.count("ready"), states.count("listed"), states.count("requested")) == (29, 20, 1)
    (one,) = [one for one in every if one["code"] == CODE]
    assert (one["name_fr"], one["state"], one["generation"]) == ("Autre nom", "requested", 1)
    assert "token_hash" not in one


async def test_an_administration_comes_on_board_and_what_was_parked_goes_out_first(stand: Stand) -> None:
    early = await stand.file(3)
    assert await stand.forwarded() == []
    assert (await stand.call("POST", f"/v1/administrations/{CODE}/onboarding")).status_code == 202
    assert await stand.tasks() == [(CODE, "provision", 1)]
    assert (await stand.report("probed")).status_code == 409, "not before it is provisioned"
    assert (await stand.report("provisioned", 2)).status_code == 409, "not another generation"
    first = await stand.report("provisioned")
    again = await stand.report("provisioned")
    assert first.json() == again.json()
    news = await stand.said(f"administrations.{CODE}.inbox")
    assert [dict(record.headers)["ce_id"].decode() for record in news] == [first.json()["probe"]]
    assert (await stand.report("probed")).json()["state"] == "releasing"
    late = await stand.file(2)
    assert await stand.forwarded() == [], "they queue behind"
    assert await stand.mover.move_pages(), "a page went out"
    assert not await stand.mover.move_pages(), "and then it is ready"
    assert await stand.state() == "ready"
    last = await stand.file(1)
    assert await stand.forwarded() == [event.data.reference for event in (*early, *late, *last)]
    assert await stand.tasks() == []


async def test_pages_are_in_the_order_of_receipt_while_new_ones_come_in(stand: Stand, full: bool) -> None:
    number = 5_000 if full else 500
    filed = []
    for _ in range(number // 250):
        filed += await stand.file(250)
    await stand.onboard()

    async def go_on_filing() -> None:
        while await stand.state() != "ready":
            filed.extend(await stand.file(7))

    async def release() -> None:
        while await stand.state() != "ready":
            await stand.mover.move_pages()

    await asyncio.gather(go_on_filing(), release(), release())
    assert len(filed) > number
    assert await stand.forwarded() == [event.data.reference for event in filed]
    versions = await stand.database.fetch("SELECT DISTINCT version, state ->> 'status' AS status FROM cases")
    assert {row["status"] for row in versions} == {"forwarded"}


async def test_a_parked_case_that_went_elsewhere_is_not_released(stand: Stand) -> None:
    first, second = await stand.file(2)
    await stand.database.fetch(
        """UPDATE cases SET version = 9, state = state || '{"assignments": [], "status": "in_triage"}'
           WHERE complaint_id = $1""",
        first.subject,
    )
    await stand.onboard()
    while await stand.mover.move_pages():
        pass
    assert await stand.state() == "ready"
    assert await stand.forwarded() == [second.data.reference]


async def test_the_parent_takes_over_from_one_that_leaves(stand: Stand) -> None:
    await stand.onboard()
    await stand.mover.move_pages()
    filed = await stand.file(3)
    answer = await stand.call("DELETE", f"/v1/administrations/{CODE}/onboarding")
    assert (answer.json()["state"], answer.json()["has_credentials"]) == ("offboarding", False)
    assert await stand.tasks() == [(CODE, "withdraw", 1)]
    assert (await stand.report("withdrawn")).status_code == 409, "its work is not handed over yet"
    (parked,) = await stand.file(1)
    while await stand.mover.move_pages():
        pass
    assert (await stand.report("withdrawn")).json()["state"] == "offboarded"
    taken = [json.loads(record.value or b"") for record in await stand.said("administrations.interieur.inbox")]
    assert [(one["reference"], one["on_behalf_of"]) for one in taken] == [(e.data.reference, CODE) for e in filed]
    assert parked.data.reference not in await stand.forwarded()
    assert (await stand.call("POST", f"/v1/administrations/{CODE}/onboarding")).json()["generation"] == 2


@pytest.mark.parametrize("code", RESORTS)
async def test_who_takes_over_from_all_cannot_leave(stand: Stand, code: str) -> None:
    answer = await stand.call("DELETE", f"/v1/administrations/{code}/onboarding")
    assert answer.status_code == 409
    assert code in answer.json()["detail"]


async def test_credentials_rotate_while_complaints_go_on(stand: Stand) -> None:
    assert (await stand.call("POST", "/v1/administrations/sante/rotation")).json()["state"] == "ready"
    assert await stand.tasks() == [("sante", "provision", 1)]
    (event,) = await stand.file(1, "sante")
    assert await stand.forwarded("sante") == [event.data.reference]
    await stand.report("provisioned", 1, "sante")
    assert await stand.tasks() == []
    assert (await stand.call("POST", f"/v1/administrations/{CODE}/rotation")).status_code == 409


async def test_an_administration_of_no_list_is_added_and_comes_on_board(stand: Stand) -> None:
    body = {"kind": "commune", "parent": "interieur", "name_fr": "Commune d’Ifrane", "name_ar": "جماعة إفران"}
    path = "/v1/administrations/commune-ifrane"
    assert (await stand.call("PUT", path, body=body)).json()["state"] == "listed"
    assert (await stand.call("POST", f"{path}/onboarding")).json()["state"] == "requested"
    for wrong in ({**body, "parent": "nobody"}, {**body, "name_ar": ""}):
        assert (await stand.call("PUT", path, body=wrong)).status_code == 400
    assert (await stand.call("PUT", "/v1/administrations/Ifrane.x", body=body)).status_code == 400


async def test_states_come_back_from_what_the_inboxes_were_told(stand: Stand) -> None:
    await stand.onboard()
    await stand.mover.move_pages()
    records = await stand.said(f"administrations.{CODE}.inbox")
    events = [decode(record, topic_named(record.topic).events) for record in records]
    await stand.database.fetch("UPDATE administrations SET state = 'listed', generation = 0, generation_in_place = 0")

    async def work(connection: Connection) -> Sequence[Outgoing]:
        return await RestoreRegistry(RestoreCases(POLICY, CLOCK))(connection, events)

    await stand.database.run(work)
    assert await stand.state() == "provisioned"
    assert await stand.tasks() == [(CODE, "provision", 1)]
    await stand.report("provisioned")
    assert (await stand.report("probed")).json()["state"] == "releasing"


async def test_replies_over_http_are_checked_as_those_from_kafka_are(stand: Stand) -> None:
    await stand.onboard()
    await stand.mover.move_pages()
    await stand.file(1)
    inbox = [json.loads(record.value or b"") for record in await stand.said(f"administrations.{CODE}.inbox")]
    assignment = inbox[-1]["assignment_id"]

    async def say(ce_id: str, token: str = TOKEN, code: str = CODE, **data: str) -> httpx.Response:
        headers = {k.replace("ce_", "ce-"): bytes(v or b"").decode() for k, v in _headers(code, ce_id)}
        body = json.dumps({"assignment_id": assignment, **data})
        path = f"/v1/administrations/{code}/replies"
        return await stand.client.post(path, content=body, headers={**headers, "Authorization": f"Bearer {token}"})

    assert (await say("1", token="wrong", action="acknowledged")).status_code == 401
    assert (await say("1", code="sante", action="acknowledged")).status_code == 401, "it has no token yet"
    assert (await say("1", action="dance")).status_code == 400
    assert (await say("1", action="acknowledged")).status_code == 200
    assert (await say("1", action="acknowledged")).status_code == 200, "said again"
    reused = await say("1", action="in_progress")
    assert (reused.status_code, reused.json()["reason"]) == (409, "repeated-id")
    results = await asyncio.gather(*(say(f"a{n}", action="answered", text="Le courant est rétabli.") for n in range(4)))
    assert sorted(result.status_code for result in results) == [200, 409, 409, 409]
    structured = {
        "specversion": "1.0",
        "id": "s1",
        "source": "/energie",
        "type": AdministrationReplied.TYPE,
        "time": NOON.isoformat(),
        "data": {"assignment_id": str(uuid4()), "action": "acknowledged"},
    }
    headers = {"content-type": "application/cloudevents+json", "Authorization": f"Bearer {TOKEN}"}
    path = f"/v1/administrations/{CODE}/replies"
    refused = await stand.client.post(path, content=orjson.dumps(structured), headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (409, "unknown-assignment")
    rejected = [json.loads(record.value or b"") for record in await stand.said(f"administrations.{CODE}.rejected")]
    reasons = [one["reason"] for one in rejected]
    assert reasons == ["repeated-id", "not-allowed", "not-allowed", "not-allowed", "unknown-assignment"]


def _headers(code: str, ce_id: str) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in reply_headers(code, ce_id) if isinstance(value, bytes)]


async def test_each_door_has_its_own_key(stand: Stand) -> None:
    doors = (("GET", "/v1/administrations"), ("POST", "/v1/administrations/energie/onboarding"))
    for method, path in doors:
        assert (await stand.call(method, path, "provisioner")).status_code == 401
    assert (await stand.call("GET", "/v1/provisioning", "operations")).status_code == 401
    for method, path in (("GET", "nobody"), ("POST", "nobody/onboarding")):
        assert (await stand.call(method, f"/v1/administrations/{path}")).status_code == 404
