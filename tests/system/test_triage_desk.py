"""What the model cannot place goes to an officer, and the citizen sees what came of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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
