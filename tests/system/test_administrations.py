"""Administrations with their own credentials on a secured Kafka: onboarding, rights, rotation, leaving; kills."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from deploy.provisioner.credentials import Credentials
from deploy.provisioner.kafka import KafkaProvisioner, Probe, access_rules
from deploy.provisioner.program import Rounds
from shared.testing.administration import TestAdministration
from shared.testing.provisioning import Member, Operations
from shared.testing.services import running_stand
from shared.testing.waiting import wait_until

CHANGED = "ma.chikaya.administration.changed.v1"
TOPIC_REFUSED, GROUP_REFUSED = "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operations]:
    with running_stand(tmp_path_factory.mktemp("logs")) as stand:
        yield Operations(stand, tmp_path_factory.mktemp("credentials"))


@pytest.fixture
def provisioned(operations: Operations) -> Iterator[Operations]:
    with operations.running_provisioner():
        yield operations


def inbox(code: str) -> str:
    return f"administrations.{code}.inbox"


def outbox(code: str) -> str:
    return f"administrations.{code}.outbox"


def test_an_administration_reads_and_writes_its_own_and_nothing_else(provisioned: Operations) -> None:
    adm = Member(provisioned.onboard("adm"))
    anrt = Member(provisioned.onboard("anrt"))
    assert provisioned.rules("adm") == sorted(access_rules("adm"))
    assert adm.read_first(inbox("adm")) == CHANGED
    assert adm.join("administrations.adm.desk", inbox("adm")) == "joined"
    assert adm.write(outbox("adm"), b"anything") == "written"
    wait_until(lambda: adm.read_first("administrations.adm.rejected") == "ma.chikaya.reply.rejected.v1")

    for topic in (inbox("anrt"), "administrations.anrt.rejected", "complaints.submitted", outbox("adm")):
        assert (topic, adm.join("administrations.adm.desk", topic)) == (topic, TOPIC_REFUSED)
    for topic in (outbox("anrt"), inbox("adm"), "administrations.adm.rejected", "complaints.lifecycle"):
        assert (topic, adm.write(topic, b"anything")) == (topic, TOPIC_REFUSED)
    for group in ("administrations.anrt.desk", "administrations.adm", "dispatcher"):
        assert (group, adm.join(group, inbox("adm"))) == (group, GROUP_REFUSED)
    assert adm.visible_topics() == {inbox("adm"), outbox("adm"), "administrations.adm.rejected"}
    assert not Member(Credentials(**{**vars(adm.credentials), "password": "guess"})).signs_in()
    assert anrt.read_first(inbox("anrt")) == CHANGED


def test_anothers_case_is_refused(provisioned: Operations) -> None:
    services = provisioned.stand.services
    body = {"subject": "Hôpital", "text": "Aucun médecin aux urgences de l'hôpital", "channel": "web"}
    receipt = services.file(body)
    sante = TestAdministration(provisioned.stand.kafka.bootstrap_servers, "sante")
    assignment = sante.assignment(receipt)
    stranger, owner = Member(provisioned.rotate("education")), Member(provisioned.rotate("sante"))
    answer = json.dumps({"assignment_id": assignment, "action": "answered", "text": "Nous avons répondu."}).encode()
    assert stranger.write(outbox("education"), answer) == "written"
    education = TestAdministration(provisioned.stand.kafka.bootstrap_servers, "education")
    wait_until(lambda: education.rejections() == ["unknown-assignment"])
    assert owner.write(outbox("sante"), answer) == "written"
    wait_until(lambda: services.follow(receipt).json()["status"] == "answered")


def test_rotation_ends_the_old_password_and_leaving_ends_everything_but_the_topics(provisioned: Operations) -> None:
    first = Member(provisioned.onboard("onssa"))
    second = Member(provisioned.rotate("onssa"))
    assert first.credentials.token != second.credentials.token
    assert not first.signs_in()
    assert second.read_first(inbox("onssa")) == CHANGED
    assert provisioned.call("DELETE", "/onssa/onboarding").status_code == 202
    provisioned.wait_for("onssa", "offboarded")
    assert not second.signs_in()
    assert provisioned.rules("onssa") == []
    assert {inbox("onssa"), outbox("onssa")} <= provisioned.topics()
    assert not (provisioned.folder / "onssa.json").exists()
    third = Member(provisioned.onboard("onssa"))
    assert third.read_first(inbox("onssa")) == CHANGED


def test_what_is_parked_goes_out_once_while_the_provisioner_is_killed_and_complaints_come_in(
    operations: Operations,
) -> None:
    services = operations.stand.services
    text = "La station-service du village vend le carburant plus cher que le prix affiché."
    body = {"subject": "Carburant", "text": text, "channel": "web", "administration": "energie"}
    receipts = [services.file(body) for _ in range(20)]
    wait_until(lambda: {services.follow(r).json().get("status") for r in receipts} == {"parked"})
    assert operations.call("POST", "/energie/onboarding").status_code == 202
    for moment in (0.6, 1.2, 1.8):
        with operations.running_provisioner() as process:
            receipts += [services.file(body) for _ in range(3)]
            time.sleep(moment)
            process.kill()
    with operations.running_provisioner():
        receipts += [services.file(body) for _ in range(3)]
        operations.wait_for("energie", "ready")
    receipts.append(services.file(body))
    energie = TestAdministration(operations.stand.kafka.bootstrap_servers, "energie")
    wanted = sorted(receipt["reference"] for receipt in receipts)
    wait_until(lambda: len(_references(energie)) >= len(wanted))
    assert sorted(_references(energie)) == wanted
    assert _references(energie)[:20] == [receipt["reference"] for receipt in receipts[:20]], "the oldest first"


def _references(administration: TestAdministration) -> list[str]:
    return [data["reference"] for data in administration.read("inbox") if "reference" in data]


class Killed(BaseException):
    """As a SIGKILL: nothing after it is done."""


class DiesOnTheWay(KafkaProvisioner):
    """Dies before or after the n-th thing it does."""

    def __init__(self, real: KafkaProvisioner, step: int) -> None:
        self._real = real
        self._left = step

    def provide(self, credentials: Credentials) -> None:
        self._live()
        self._real.provide(credentials)
        self._live()

    def probe(self, credentials: Credentials) -> Probe:
        return _DyingProbe(self._real.probe(credentials), self._live)

    def withdraw(self, code: str) -> None:
        self._live()
        self._real.withdraw(code)
        self._live()

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


class _DyingProbe:
    def __init__(self, real: Probe, live: Any) -> None:
        self._real = real
        self._live = live

    def find(self, event_id: str) -> None:
        self._live()  # reported as provisioned, the record not read
        self._real.find(event_id)
        self._live()

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize(("code", "steps"), [("dgi", 0), ("tgr", 1), ("douane", 2), ("hcp", 3)])
def test_a_provisioner_killed_half_way_ends_in_the_same_state(operations: Operations, code: str, steps: int) -> None:
    with operations.parts() as (dispatcher, provisioner, credentials):
        for path, state in (("POST", "ready"), ("DELETE", "offboarded"), ("POST", "ready")):
            assert operations.call(path, f"/{code}/onboarding").status_code == 202
            (task,) = dispatcher.tasks()
            died = 0
            try:
                Rounds(dispatcher, DiesOnTheWay(provisioner, steps), credentials).do(task)
            except Killed:
                died = 1
            assert died == 1 or (state == "offboarded" and steps > 1), "the test itself"
            kept = (operations.folder / f"{code}.json").read_text() if state == "ready" else ""
            for task in dispatcher.tasks():
                Rounds(dispatcher, provisioner, credentials).do(task)
            operations.wait_for(code, state)
            assert dispatcher.tasks() == []
            if state == "ready":
                assert (operations.folder / f"{code}.json").read_text() == kept, "no second password"
                assert operations.rules(code) == sorted(access_rules(code))
                assert Member(operations.credentials(code)).read_first(inbox(code)) == CHANGED
            else:
                assert operations.rules(code) == []
    news = TestAdministration(operations.stand.kafka.bootstrap_servers, code).read("inbox")
    assert [one["state"] for one in news] == ["provisioned", "offboarding", "provisioned"], "each told once"


@pytest.mark.timeout(3000)
def test_as_many_as_the_country_has(operations: Operations, full: bool) -> None:
    """All 1,750 in the long run: communes of no list come on board, and their complaints reach them."""
    services, kafka = operations.stand.services, operations.stand.kafka
    codes = [f"commune-{number:04d}" for number in range(1_700 if full else 6)]
    began = time.monotonic()
    for code in codes:
        body = {"kind": "commune", "parent": "interieur", "name_fr": f"Commune {code}", "name_ar": f"جماعة {code}"}
        assert operations.call("PUT", f"/{code}", body).status_code == 200
        assert operations.call("POST", f"/{code}/onboarding").status_code == 202
    requested = time.monotonic()
    with operations.running_provisioner():
        while any(state != "ready" for state in _states(operations, codes)):
            time.sleep(2.0)
    _figure("registered", requested - began)
    _figure("on board", time.monotonic() - requested)

    sample = codes[:: max(1, len(codes) // 20)]
    filed = {code: _file_in(operations, code) for code in sample}
    for code, receipt in filed.items():
        administration = TestAdministration(kafka.bootstrap_servers, code)
        assignment = administration.assignment(receipt)
        administration.reply(assignment, action="acknowledged")
    wait_until(lambda: {services.follow(r).json()["status"] for r in filed.values()} == {"acknowledged"}, 120)

    _figure("broker", psutil.Process(kafka.pid).memory_info().rss / 2**20, "MiB")
    _figure("dispatcher", psutil.Process(services.processes["dispatcher-0"].pid).memory_info().rss / 2**20, "MiB")
    services.kill("dispatcher")
    again = time.monotonic()
    code = sample[-1]
    receipt = _file_in(operations, code)
    administration = TestAdministration(kafka.bootstrap_servers, code)
    administration.reply(administration.assignment(receipt), action="acknowledged")
    wait_until(lambda: services.follow(receipt).json()["status"] == "acknowledged", 120)
    _figure("killed dispatcher back, a complaint forwarded and its reply applied", time.monotonic() - again)


def _states(operations: Operations, codes: list[str]) -> list[str]:
    states = {one["code"]: one["state"] for one in operations.call("GET", "").json()["administrations"]}
    return [states[code] for code in codes]


def _file_in(operations: Operations, code: str) -> dict[str, str]:
    place = {"commune": code.removeprefix("commune-")}
    text = "Les ordures ménagères ne sont plus ramassées dans notre quartier depuis deux semaines."
    body = {"subject": "Ordures", "text": text, "channel": "web", "place": place}
    return operations.stand.services.file(body)


def _figure(what: str, number: float, unit: str = "s") -> None:
    sys.stderr.write(f"{what}: {number:.1f} {unit}\n")
