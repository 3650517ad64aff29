"""Administrations with their own credentials on a secured Kafka: onboarding, rights, rotation, leaving; kills."""

import json
from collections.abc import Iterator
from typing import Any

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
