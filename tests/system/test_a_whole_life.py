"""A complaint from filing to its end, over the services' own doors: question, answer, reopening, rating."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from shared.testing.administration import TestAdministration
from shared.testing.services import Stand, running_stand
from shared.testing.waiting import wait_until


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with running_stand(tmp_path_factory.mktemp("life")) as running:
        yield running


@pytest.fixture
def sante(stand: Stand) -> TestAdministration:
    return TestAdministration(stand.kafka.bootstrap_servers, "sante")


@pytest.fixture
def receipt(stand: Stand) -> Mapping[str, str]:
    body = {"subject": "Hôpital", "text": "Aucun médecin aux urgences de l'hôpital", "channel": "web"}
    return stand.services.file(body)


def act(stand: Stand, receipt: Mapping[str, str], name: str, body: dict[str, Any]) -> httpx.Response:
    """An action; all of one name are under one key."""
    address = f"{stand.services.address('intake')}/v1/complaints/{receipt['reference']}/{name}"
    headers = {"Access-Code": receipt["access_code"], "Idempotency-Key": name}
    return httpx.post(address, json=body, headers=headers, auth=stand.services.client())


def changes(stand: Stand, receipt: Mapping[str, str]) -> list[str]:
    return [step["change"] for step in stand.services.follow(receipt).json()["timeline"]]


def notices_of(administration: TestAdministration, receipt: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the administration was told after the complaint itself."""
    mine = (data for data in administration.read("inbox") if data.get("reference") == receipt["reference"])
    return [data for data in mine if "notice" in data]


def await_status(stand: Stand, receipt: Mapping[str, str], status: str) -> None:
    wait_until(lambda: stand.services.follow(receipt).json()["status"] == status)


@pytest.mark.timeout(120)
def test_question_answer_reopening_and_rating(
    stand: Stand, sante: TestAdministration, receipt: Mapping[str, str]
) -> None:
    assignment = sante.assignment(receipt)
    sante.reply(assignment, action="question", text="Quel jour ?")
    await_status(stand, receipt, "awaiting_citizen")
    for _ in range(2):
        assert act(stand, receipt, "messages", {"text": "Le 3 mars."}).status_code == 202
    assert act(stand, receipt, "messages", {"text": "Autre chose."}).status_code == 422
    await_status(stand, receipt, "in_progress")
    sante.reply(assignment, action="answered", text="Un médecin viendra.", outcome="explained")
    await_status(stand, receipt, "answered")
    assert act(stand, receipt, "reopening", {"text": "Personne n'est venu."}).status_code == 202
    await_status(stand, receipt, "forwarded")
    again = sante.assignment(receipt)
    assert again != assignment
    sante.reply(assignment, action="acknowledged")
    wait_until(lambda: "stale-assignment" in sante.rejections())
    sante.reply(again, action="answered", text="Deux médecins sont nommés.", outcome="resolved")
    await_status(stand, receipt, "answered")
    assert act(stand, receipt, "rating", {"satisfied": True, "text": "Merci."}).status_code == 202
    await_status(stand, receipt, "closed")
    assert changes(stand, receipt) == [
        "opened",
        "forwarded",
        "citizen_asked",
        "citizen_wrote",
        "answered",
        "reopened",
        "answered",
        "closed",
    ]
    notices = notices_of(sante, receipt)
    told = [(data["notice"], data["assignment_id"], data["personal"]["content"]["text"]) for data in notices]
    assert told == [
        ("citizen_message", assignment, "Le 3 mars."),
        ("citizen_message", again, "Le 3 mars."),
        ("reopened", again, "Personne n'est venu."),
    ]


@pytest.mark.timeout(120)
def test_what_is_not_possible_is_refused_where_the_citizen_sees_it(
    stand: Stand, sante: TestAdministration, receipt: Mapping[str, str]
) -> None:
    assignment = sante.assignment(receipt)
    assert act(stand, receipt, "rating", {"satisfied": False}).status_code == 202
    wait_until(lambda: "action_refused" in changes(stand, receipt))
    assert act(stand, receipt, "withdrawal", {}).status_code == 202
    await_status(stand, receipt, "withdrawn")
    sante.reply(assignment, action="answered", text="Trop tard.")
    wait_until(lambda: "stale-assignment" in sante.rejections())
    assert [data["notice"] for data in notices_of(sante, receipt)] == ["withdrawn"]
    assert stand.services.follow(receipt).json()["status"] == "withdrawn"
