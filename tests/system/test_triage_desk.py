"""What the model cannot place, or administrations send back, goes to an officer; the citizen sees what came of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.testing.administration import TestAdministration
from shared.testing.services import OFFICER_TOKEN, Stand, running_stand
from shared.testing.waiting import wait_until

VAGUE = {"subject": "Que faire", "text": "On m'a encore dit de revenir demain", "channel": "web"}


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder: Path = tmp_path_factory.mktemp("triage")
    with running_stand(folder) as running:
        yield running


@pytest.mark.parametrize(
    ("decision", "status", "answer"),
    [
        ({"decision": "route", "administration": "sante"}, "forwarded", None),
        (
            {"decision": "inadmissible", "message": "L'affaire est devant le tribunal."},
            "inadmissible",
            "L'affaire est devant le tribunal.",
        ),
        ({"decision": "route", "administration": "dgsn"}, "parked", None),
    ],
)
def test_an_officer_decides(stand: Stand, decision: dict[str, str], status: str, answer: str | None) -> None:
    services = stand.services
    receipt = services.file(VAGUE)
    wait_until(lambda: services.follow(receipt).json().get("status") == "in_triage")
    headers = {"Authorization": f"Bearer {OFFICER_TOKEN}"}
    desk = f"{services.address('classifier')}/v1/triage"
    claim = httpx.post(f"{desk}/claims", headers=headers).json()
    assert claim["reference"] == receipt["reference"]
    answered = httpx.post(f"{desk}/{claim['complaint_id']}/decision", json=decision, headers=headers)
    assert answered.status_code == 202
    wait_until(lambda: bool(services.follow(receipt).json()["status"] == status))
    assert services.follow(receipt).json()["answer"] == answer


def test_a_complaint_that_is_not_theirs_finds_its_owner(stand: Stand) -> None:
    services = stand.services
    receipt = services.file({**VAGUE, "text": "Aucun médecin aux urgences de l'hôpital", "administration": "sante"})
    first = administration(stand, "sante").assignment(receipt)
    administration(stand, "sante").reply(
        first, action="not_ours", text="Il s'agit d'une école", other_administration="education"
    )
    second = administration(stand, "education").assignment(receipt)
    administration(stand, "sante").reply(first, action="answered", text="Nous répondons tout de même")
    administration(stand, "education").reply(
        second, action="not_ours", text="Pas de notre ressort", other_administration="justice"
    )
    wait_until(lambda: services.follow(receipt).json()["status"] == "in_triage")

    headers = {"Authorization": f"Bearer {OFFICER_TOKEN}"}
    desk = f"{services.address('classifier')}/v1/triage"
    claims: list[httpx.Response] = []
    wait_until(lambda: claims.append(httpx.post(f"{desk}/claims", headers=headers)) or claims[-1].status_code == 200)
    claim = claims[-1].json()
    assert claim["reason"] == "too_many_hops"
    assert {c["administration"] for c in claim["candidates"]}.isdisjoint({"sante", "education"})
    decision = {"decision": "route", "administration": "transport"}
    httpx.post(f"{desk}/{claim['complaint_id']}/decision", json=decision, headers=headers)
    third = administration(stand, "transport").assignment(receipt)
    administration(stand, "transport").reply(third, action="answered", text="C'est réglé")

    wait_until(lambda: services.follow(receipt).json()["status"] == "answered")
    changes = [step["change"] for step in services.follow(receipt).json()["timeline"]]
    assert changes == ["opened", "forwarded", "returned", "forwarded", "returned", "forwarded", "answered"]
    assert administration(stand, "sante").rejections() == ["stale-assignment"]


def administration(stand: Stand, code: str) -> TestAdministration:
    return TestAdministration(stand.kafka.bootstrap_servers, code)
