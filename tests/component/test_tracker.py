"""The tracker on a real database: what citizens, operations, administrations and the public are answered."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from arro3.io import read_parquet

from services.tracker.api.citizens import Desk, Limits, make_citizen_router
from services.tracker.api.exports import Exports
from services.tracker.api.live import _events, make_live_router
from services.tracker.api.operations import make_operations_router
from services.tracker.api.statistics import make_statistics_router
from services.tracker.domain.access import Reader, Role, Tokens
from services.tracker.handlers import project
from services.tracker.store.queries import TrackerQueries
from services.tracker.store.staff import StaffRecords
from services.tracker.upkeep import GAP, Upkeep
from shared.contracts.envelope import AnyEvent
from shared.contracts.reference import AccessCodes
from shared.contracts.statements import SILENCE
from shared.contracts.topics import DELIVERIES, LIFECYCLE, SUBMITTED
from shared.database.pool import Database
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.runtime.signatures import Signer, verified
from shared.testing.builders import NOON, records_of
from shared.testing.histories import History, histories, history
from shared.testing.stores import Stores, trusted_database

CODES = AccessCodes({"k1": b"of a test"}, "k1")
OPERATIONS = {"Authorization": "Bearer operations"}
AUDITOR = {"Authorization": "Bearer auditor"}
SANTE = {"Authorization": "Bearer sante"}


@dataclass
class MovedClock:
    """A clock that a test moves."""

    time: datetime = NOON + timedelta(days=100)

    def now(self) -> datetime:
        return self.time


@dataclass
class Stand:
    database: Database
    client: httpx.AsyncClient
    inbox: Inbox
    queries: TrackerQueries
    records: StaffRecords
    clock: MovedClock
    fed: int = field(default=0)

    async def feed(self, events: Sequence[AnyEvent]) -> None:
        """Hands events over in their order, one topic after another as they come."""
        for event in events:
            topic = next(t for t in (SUBMITTED, LIFECYCLE, DELIVERIES) if isinstance(event.data, t.events))
            records = records_of(topic, [event], offset=self.fed, sequence=self.fed + 1)
            await self.inbox.commit({(topic.name, 0): records}, {(topic.name, 0): 0})
            self.fed += 1

    async def feed_all(self, found: Sequence[History]) -> None:
        for topic, of in ((SUBMITTED, "submitted"), (LIFECYCLE, "changes"), (DELIVERIES, "messages")):
            events = [event for one in found for event in getattr(one, of)]
            records = records_of(topic, events, offset=self.fed, sequence=self.fed + 1)
            await self.inbox.commit({(topic.name, 0): records}, {(topic.name, 0): 0})
            self.fed += len(events)

    async def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query, headers=headers or OPERATIONS)

    async def follow(self, one: History, code: str | None = None, **headers: str) -> httpx.Response:
        code = CODES.code(one.complaint_id, "k1", 1) if code is None else code
        return await self.client.get(f"/v1/complaints/{one.reference}", headers={"Access-Code": code, **headers})

    async def tables(self, *names: str) -> list[list[tuple[Any, ...]]]:
        return [sorted(map(tuple, await self.database.fetch(f"SELECT * FROM {n}")), key=repr) for n in names]


PROJECTED = (
    "complaints",
    "timeline",
    "complaint_words",
    "weekly_statistics",
    "waiting_statistics",
    "duration_statistics",
    "state_statistics",
)


SIGNER = Signer({"k1": b"7" * 32})


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
def other_url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def stand(url: str) -> AsyncIterator[Stand]:
    async with running_stand(url) as running:
        yield running


@asynccontextmanager
async def running_stand(url: str) -> AsyncIterator[Stand]:
    """A tracker on a database, without its consume loop."""
    database = await trusted_database(url)
    clock, queries, records = MovedClock(), TrackerQueries(database), StaffRecords(database)
    events = (*SUBMITTED.events, *LIFECYCLE.events, *DELIVERIES.events)
    inbox = Inbox("tracker", "tracker", Outbox(database), project, events)
    await inbox.register({(topic.name, 0): 0 for topic in (SUBMITTED, LIFECYCLE, DELIVERIES)})
    tokens = Tokens("operations", "auditor", {"sante": "sante"})
    desk = Desk(queries, records, CODES, clock, Limits(3, 5, frozenset({"10.0.0.1"})))
    routers = [
        make_operations_router(queries, records, Exports(queries, clock), tokens, clock),
        make_statistics_router(queries, tokens, clock),
        make_live_router(queries, tokens),
        make_citizen_router(desk, clock, SIGNER),
    ]
    app = make_app("tracker", HttpSettings(), Health(ready=True), routers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker") as client:
        yield Stand(database, client, inbox, queries, records, clock)
    await database.close()


def some(number: int = 300, seed: int = 7) -> list[History]:
    return list(histories(number, seed, NOON + timedelta(days=100), days=200))


def one_at(days_ago: float, seed: int = 3, status: str = "in_progress") -> History:
    """A complaint that was received so many days before the clock and has this status."""
    now = NOON + timedelta(days=100)
    for attempt in range(1000):
        found = history(Random(seed * 1000 + attempt), seed, now - timedelta(days=days_ago), now)
        if found.changes[-1].data.status == status and found.changes[-1].data.hops == 0:
            return found
    raise ValueError(f"no complaint of {days_ago} days is {status}")


async def test_a_citizen_reads_who_has_it_since_when_and_the_days_left(stand: Stand) -> None:
    one = one_at(20)
    await stand.feed(one.events())
    answer = (await stand.follow(one, **{"Accept-Language": "fr"})).json()
    last = one.changes[-1].data
    assert answer["status"] == last.status
    assert answer["administration"]["code"] == last.assignments[0].administration
    assert answer["held_since"] == last.assignments[0].assigned_at.isoformat()
    forward, due = answer["deadlines"]
    assert (forward["met_in_time"], forward["days_left"]) == (True, None)
    assert (due["days_left"], due["overdue"], due["moved"]) == (40, False, [])
    assert [step["change"] for step in answer["timeline"]][:2] == ["opened", "notification_sent"]
    assert len(answer["timeline"]) == len(one.changes) + len(one.messages)
    assert "temps restant\u00a0: 40 jours" in answer["summary"]
    stand.clock.time += timedelta(days=43)
    late = (await stand.follow(one, **{"Accept-Language": "ar"})).json()
    assert (late["deadlines"][1]["overdue"], late["deadlines"][1]["days_left"]) == (True, -3)
    assert "مدة التأخر: 3 أيام" in late["summary"]


async def test_after_a_missed_answer_the_citizen_gets_a_signed_statement_of_silence(stand: Stand) -> None:
    one = one_at(20)
    await stand.feed(one.events())
    address = f"/v1/complaints/{one.reference}/silence"
    headers = {"Access-Code": (await stand.follow(one)).request.headers["Access-Code"]}
    assert (await stand.client.get(address, headers=headers)).status_code == 409, "there is time for an answer"
    stand.clock.time += timedelta(days=43)
    answer = (await stand.client.get(address, headers=headers)).json()
    claims = verified(answer["signed"], SILENCE, SIGNER.key_set)
    assert claims == answer["statement"]
    due = one.changes[-1].data.deadlines.answer_by
    assert (claims["sub"], datetime.fromisoformat(claims["unanswered_since"])) == (one.reference, due)
    assert len(claims["timeline"]) == len(one.changes) + len(one.messages)
    text = one.submitted[0].data.personal.content.text
    assert text and text not in str(claims)
    assert (await stand.client.get(address, headers={"Access-Code": "1"})).status_code == 404


async def test_a_moved_deadline_shows_from_what_to_what(stand: Stand) -> None:
    one = one_at(20)
    last = one.changes[-1]
    later = last.data.deadlines.answer_by + timedelta(days=7)
    deadlines = last.data.deadlines.model_copy(update={"answer_by": later})
    one.changes[-1] = replace(last, data=last.data.model_copy(update={"deadlines": deadlines}))
    await stand.feed(one.events())
    (move,) = (await stand.follow(one)).json()["deadlines"][1]["moved"]
    assert datetime.fromisoformat(move["from"]) == last.data.deadlines.answer_by
    assert datetime.fromisoformat(move["to"]) == later
    assert move["change"] == last.data.change


async def test_a_wrong_reference_and_a_wrong_code_answer_alike(stand: Stand) -> None:
    known, unknown = one_at(20), one_at(20, seed=4)
    await stand.feed(known.events())
    wrong_code, wrong_reference = await stand.follow(known, "00000000"), await stand.follow(unknown)
    no_reference = await stand.client.get("/v1/complaints/12", headers={"Access-Code": "1"})
    assert wrong_code.status_code == 404
    assert wrong_code.content == wrong_reference.content == no_reference.content
    assert wrong_code.headers == wrong_reference.headers


async def test_wrong_codes_are_limited_by_reference_over_all_replicas(stand: Stand, url: str) -> None:
    one, other = one_at(20), one_at(20, seed=4)
    await stand.feed([*one.events(), *other.events()])
    assert [(await stand.follow(one, "1")).status_code for _ in range(3)] == [404] * 3
    refused = await stand.follow(one)
    assert refused.status_code == 429, "also the right code: an attacker learns nothing"
    assert 0 < int(refused.headers["retry-after"]) <= 1200
    assert (await stand.follow(other)).status_code == 200
    async with running_stand(url) as replica:
        assert (await replica.follow(one)).status_code == 429
    stand.clock.time += timedelta(minutes=21)
    assert (await stand.follow(one)).status_code == 200


async def test_wrong_references_are_limited_by_client(stand: Stand) -> None:
    one = one_at(20)
    await stand.feed(one.events())
    for seed in range(5):
        assert (await stand.follow(one_at(20, seed=100 + seed))).status_code == 404
    assert (await stand.follow(one)).status_code == 429
    transport = httpx.ASGITransport(stand.client._transport.app, client=("10.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://tracker") as portal:
        code = {"Access-Code": CODES.code(one.complaint_id, "k1", 1)}
        assert (await portal.get(f"/v1/complaints/{one.reference}", headers=code)).status_code == 200


async def test_the_telephone_says_it_in_a_few_sentences(stand: Stand) -> None:
    one = one_at(20)
    await stand.feed(one.events())
    code = {"Access-Code": CODES.code(one.complaint_id, "k1", 1)}
    digits = one.reference.replace("-", "")
    french = await stand.client.get(f"/v1/phone/complaints/{digits}", headers={**code, "Accept-Language": "fr"})
    arabic = await stand.client.get(f"/v1/phone/complaints/{digits}", headers={**code, "Accept-Language": "ar"})
    assert french.text.startswith(f"Réclamation numéro {', '.join(one.reference.split('-'))}. ")
    assert french.text.endswith("temps restant\u00a0: 40 jours.")
    assert arabic.text.endswith("والمدة المتبقية: 40 يوما.")
    assert len(french.text) < 400
    wrong = await stand.client.get(f"/v1/phone/complaints/{digits}", headers={"Accept-Language": "fr"})
    assert (wrong.status_code, wrong.text) == (404, "La référence ou le code d’accès est inexact.")


async def pages(stand: Stand, limit: int = 20, **query: Any) -> list[dict[str, Any]]:
    found, after = [], {}
    while True:
        answer = await stand.get("/v1/complaints", limit=limit, **query, **after)
        assert answer.status_code == 200, answer.text
        found += answer.json()["complaints"]
        if answer.json()["next"] is None:
            return found
        after = {"after": answer.json()["next"]}


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda s, c: True),
    ({"status": "answered"}, lambda s, c: c.status == "answered"),
    ({"status": ["forwarded", "in_triage"]}, lambda s, c: c.status in ("forwarded", "in_triage")),
    ({"administration": "sante"}, lambda s, c: bool(c.assignments) and c.assignments[0].administration == "sante"),
    ({"nature": "delay", "channel": "web"}, lambda s, c: c.nature == "delay" and s.channel == "web"),
    ({"kind": "suggestion", "language": "ar"}, lambda s, c: s.kind == "suggestion" and s.language == "ar"),
    ({"region": "03", "province": "014"}, lambda s, c: s.place.region == "03" and s.place.province == "014"),
    ({"commune": "01403"}, lambda s, c: s.place.commune == "01403"),
    ({"hops": 1}, lambda s, c: c.hops >= 1),
    (
        {"received_from": NOON.isoformat(), "received_until": (NOON + timedelta(days=30)).isoformat()},
        lambda s, c: NOON <= s.received_at < NOON + timedelta(days=30),
    ),
    ({"q": "المستشفي تلميذ"}, lambda s, c: {"المستشفى", "التلميذ"} <= set(s.personal.content.text.split())),
    ({"q": "ELECTRICITE hopit"}, lambda s, c: {"électricité", "hôpital"} <= set(s.personal.content.text.split())),
    (
        {"overdue": "answer"},
        lambda s, c: (
            c.status not in ("answered", "inadmissible") and c.deadlines.answer_by < NOON + timedelta(days=100)
        ),
    ),
]


async def test_a_list_pages_through_what_its_filter_selects_in_a_stable_order(stand: Stand) -> None:
    found = some()
    await stand.feed_all(found)
    for query, holds in FILTERS:
        rows = await pages(stand, **query)
        expected = [one for one in found if holds(one.submitted[0].data, one.changes[-1].data)]
        assert expected, f"{query} selects something"
        if "overdue" in query:
            expected.sort(key=lambda one: (one.changes[-1].data.deadlines.answer_by, one.complaint_id))
        else:
            expected.sort(key=lambda one: (one.submitted[0].data.received_at, one.complaint_id), reverse=True)
        assert [row["complaint_id"] for row in rows] == [str(one.complaint_id) for one in expected], query


async def test_a_page_does_not_move_when_complaints_arrive(stand: Stand) -> None:
    found = some(60)
    await stand.feed_all(found)
    first = (await stand.get("/v1/complaints", limit=20)).json()
    await stand.feed(one_at(0.5, status="received").events())
    second = (await stand.get("/v1/complaints", limit=20, after=first["next"])).json()
    ordered = sorted(found, key=lambda one: (one.submitted[0].data.received_at, one.complaint_id), reverse=True)
    shown = [row["complaint_id"] for row in first["complaints"] + second["complaints"]]
    assert shown == [str(one.complaint_id) for one in ordered[:40]]


@pytest.mark.parametrize("query", [{"status": "lost"}, {"after": "x"}, {"limit": 0}, {"surprise": 1}, {"hops": 0}])
async def test_a_wrong_filter_is_refused(stand: Stand, query: dict[str, Any]) -> None:
    assert (await stand.get("/v1/complaints", **query)).status_code == 400


async def test_exports_hold_what_the_list_shows(stand: Stand, tmp_path: Path) -> None:
    await stand.feed_all(some(60))
    listed = {row["reference"]: row for row in await pages(stand, channel="web")}
    text = (await stand.get("/v1/exports/complaints.csv", channel="web")).text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert {line["reference"]: line["status"] for line in lines} == {r: row["status"] for r, row in listed.items()}
    file = tmp_path / "complaints.parquet"
    file.write_bytes((await stand.get("/v1/exports/complaints.parquet", channel="web")).content)
    table = read_parquet(file).read_all()
    received = dict(zip(table["reference"].to_pylist(), table["received_at"].to_pylist(), strict=True))
    assert received == {r: datetime.fromisoformat(row["received_at"]) for r, row in listed.items()}


async def test_a_saved_view_stands_for_its_filter(stand: Stand) -> None:
    await stand.feed_all(some(60))
    saved = await stand.client.put("/v1/views/late ones", json={"status": ["answered"]}, headers=OPERATIONS)
    assert saved.status_code == 204, saved.text
    assert (await stand.get("/v1/views")).json() == {
        "views": [{"name": "late ones", "filter": {"status": ["answered"]}}]
    }
    assert await pages(stand, view="late ones") == await pages(stand, status="answered")
    assert (await stand.get("/v1/complaints", AUDITOR, view="late ones")).status_code == 404
    assert (await stand.client.delete("/v1/views/late ones", headers=OPERATIONS)).status_code == 204
    assert (await stand.get("/v1/views")).json() == {"views": []}


async def test_an_administration_sees_only_what_it_holds(stand: Stand) -> None:
    found = some()
    await stand.feed_all(found)
    rows = (await stand.get("/v1/complaints", SANTE, administration="interieur", limit=200)).json()["complaints"]
    assert rows and {row["administration"] for row in rows} == {"sante"}
    other = next(one for one in found if not one.changes[-1].data.assignments)
    own = rows[0]["reference"]
    assert (await stand.get(f"/v1/staff/complaints/{own}", SANTE)).status_code == 200
    assert (await stand.get(f"/v1/staff/complaints/{other.reference}", SANTE)).status_code == 404
    lines = csv.DictReader(io.StringIO((await stand.get("/v1/exports/complaints.csv", SANTE)).text))
    assert {line["administration"] for line in lines} == {"sante"}
    figures = {"dimension": "administration", "value": "sante"}
    assert (await stand.get("/v1/statistics", SANTE, **figures)).status_code == 200
    for path, query in (
        ("/v1/statistics", {}),
        ("/v1/statistics/league", {}),
        ("/v1/statistics/backlog", {"dimension": "administration"}),
        ("/v1/conservation", {}),
    ):
        assert (await stand.get(path, SANTE, **query)).status_code == 403
    for path in ("/v1/complaints", "/v1/statistics", "/v1/live", "/v1/views", "/v1/exports/complaints.csv"):
        assert (await stand.get(path, {"Authorization": "Bearer sant"})).status_code == 401


async def test_every_look_of_staff_leaves_a_trace_for_the_auditor(stand: Stand) -> None:
    one = one_at(20)
    await stand.feed(one.events())
    await stand.get(f"/v1/staff/complaints/{one.reference}")
    await stand.get("/v1/complaints", q="hôpital")
    traces = await stand.get(f"/v1/staff/complaints/{one.reference}/reads", AUDITOR)
    assert [(row["reader"], row["action"]) for row in traces.json()["reads"]] == [("operations", "read")]
    assert (await stand.get(f"/v1/staff/complaints/{one.reference}/reads")).status_code == 403
    asked = await stand.database.fetch("SELECT reader, asked FROM staff_reads WHERE action = 'search'")
    assert [tuple(row) for row in asked] == [("operations", "hôpital")]


async def test_the_state_on_a_date_is_what_was_true_then(stand: Stand) -> None:
    one = one_at(90, status="answered")
    await stand.feed(one.events())
    for event in one.changes:
        case = event.data
        moment = case.changed_at.isoformat()
        state = (await stand.get(f"/v1/staff/complaints/{one.reference}", as_of=moment)).json()
        held = state["administration"] and state["administration"]["code"]
        assert (state["version"], state["status"]) == (case.version, case.status)
        assert held == (case.assignments[0].administration if case.assignments else None)
        assert state["answer"] == (case.assignments[0].answer if case.status == "answered" else None)
    before = (one.submitted[0].data.received_at - timedelta(days=1)).isoformat()
    assert (await stand.get(f"/v1/staff/complaints/{one.reference}", as_of=before)).status_code == 404


async def test_statistics_are_sums_over_the_complaints(stand: Stand) -> None:
    found = some()
    await stand.feed_all(found)
    today = stand.clock.now().date()
    answered = [one for one in found if one.changes[-1].data.status == "answered"]
    weeks = (await stand.get("/v1/statistics")).json()["weeks"]
    assert sum(week["received"] for week in weeks) == len(found)
    assert sum(week["answered"] for week in weeks) == len(answered)
    on_time = [o for o in answered if o.changes[-1].data.changed_at <= o.changes[-1].data.deadlines.answer_by]
    assert sum(week["answered_on_time"] for week in weeks) == len(on_time) < len(answered)
    (left,) = (await stand.get("/v1/statistics/backlog")).json()["backlog"]
    unanswered = [one for one in found if one.changes[-1].data.status not in ("answered", "inadmissible")]
    assert left["open"] == len(unanswered) == sum(left["by_age"].values())
    assert left["overdue"] == sum(o.changes[-1].data.deadlines.answer_by.date() < today for o in unanswered)
    curve = (await stand.get("/v1/statistics/durations")).json()
    assert (curve["done"], curve["waiting"]) == (len(answered), len(unanswered))
    shares = [step["share"] for step in curve["curve"]]
    assert shares == sorted(shares, reverse=True)
    assert all(step["low"] <= step["share"] <= step["high"] for step in curve["curve"])
    league = (await stand.get("/v1/statistics/league")).json()["league"]
    assert sum(row["on_time"] for row in league) == len(on_time)
    text = (await stand.get("/v1/statistics/league", format="csv")).text
    assert [row["value"] for row in csv.DictReader(io.StringIO(text))] == [row["value"] for row in league]


async def test_the_public_sees_rounded_numbers_and_no_small_ones(stand: Stand) -> None:
    await stand.feed_all(some())
    for dimension in ("all", "administration", "nature", "region", "channel"):
        answer = await stand.client.get("/v1/public/statistics", params={"dimension": dimension})
        numbers = [n for row in answer.json()[dimension] for name, n in row.items() if name != "value"]
        assert {n % 5 for n in numbers if n is not None} == {0}
        assert all(n is None or n >= 5 for n in numbers)
        exact = {row["value"]: row["received"] for row in await stand.queries.by_value(dimension, date.min, date.max)}
        for row in answer.json()[dimension]:
            assert row["received"] is None or row["received"] <= exact[row["value"]] + 2
    assert (await stand.client.get("/v1/public/statistics", params={"dimension": "province"})).status_code == 404


async def test_any_order_and_repeats_give_the_same_rows(stand: Stand, other_url: str) -> None:
    found = some(40)
    for one in found:
        await stand.feed(one.events())
    shuffled = [event for one in found for event in one.events()] * 2
    Random(5).shuffle(shuffled)
    async with running_stand(other_url) as other:
        await other.feed(shuffled)
        assert await other.tables(*PROJECTED) == await stand.tables(*PROJECTED)


async def test_the_gap_is_measured_and_named(stand: Stand) -> None:
    whole, lost, unheard = one_at(20), one_at(20, seed=4), one_at(20, seed=5)
    upkeep = Upkeep(stand.queries, stand.records, stand.clock)
    await stand.feed(whole.events())
    await upkeep.look()
    assert GAP._value.get() == 0
    await stand.feed([*lost.submitted, *unheard.changes])
    report = (await stand.get("/v1/conservation")).json()
    assert not report["conserved"]
    assert set(report["gap"]) == {lost.reference, str(unheard.complaint_id)}
    await upkeep.look()
    assert GAP._value.get() == 2
    await stand.feed([*lost.changes, *unheard.submitted])
    report = (await stand.get("/v1/conservation")).json()
    assert (report["conserved"], report["accepted"]) == (True, 3)


async def test_live_updates_resume_where_they_broke_off(stand: Stand) -> None:
    first, second = one_at(20), one_at(20, seed=4)
    reader = Reader(Role.OPERATIONS, "operations")
    stream = _events(stand.queries, reader, None)
    assert await anext(stream) == b": ready\n\n"
    await stand.feed(first.changes)
    seen = [await anext(stream) for _ in first.changes]
    assert [
        f'"version":{case.data.version},'.encode() in event for case, event in zip(first.changes, seen, strict=True)
    ]
    await stream.aclose()
    await stand.feed(second.changes)
    transaction, number = seen[-2].split(b"\n")[0].removeprefix(b"id: ").decode().split("-")
    resumed = _events(stand.queries, reader, (transaction, int(number)))
    assert await anext(resumed) == b": ready\n\n"
    again = [await anext(resumed) for _ in range(1 + len(second.changes))]
    assert again[0] == seen[-1], "what was sent and not seen comes again"
    assert all(str(second.complaint_id).encode() in event for event in again[1:])
    await resumed.aclose()
    await stand.database.fetch("DELETE FROM live_changes WHERE id <= $1", int(number))
    gone = _events(stand.queries, reader, (transaction, int(number) - 1))
    assert b"event: reset\n" in await anext(gone)
    await gone.aclose()
