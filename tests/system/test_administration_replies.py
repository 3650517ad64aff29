"""An administration answers in its own outbox, with another Kafka client; whatever is wrong goes back to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from shared.testing.administration import TestAdministration, reply_headers
from shared.testing.services import Stand, running_stand
from shared.testing.waiting import wait_until

OUTBOX = "administrations.sante.outbox"


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with running_stand(tmp_path) as running:
        yield running


def reply(producer: Producer, data: dict[str, object], ce_id: str | None = None) -> None:
    """Sends a reply in the producer's transaction."""
    producer.produce(OUTBOX, json.dumps(data), headers=reply_headers("sante", ce_id))


@pytest.mark.timeout(180)
def test_replies_in_transactions_with_aborts_and_garbage(stand: Stand) -> None:
    services = stand.services
    text = "Aucun médecin aux urgences de l'hôpital"
    body = {"subject": "Hôpital", "text": text, "channel": "web", "administration": "sante"}
    receipt = services.file(body)
    sante = TestAdministration(stand.kafka.bootstrap_servers, "sante")
    assignment = sante.assignment(receipt)

    producer = Producer(
        {"bootstrap.servers": stand.kafka.bootstrap_servers, "transactional.id": "sante", "linger.ms": 0}
    )
    producer.init_transactions()
    producer.begin_transaction()
    reply(producer, {"assignment_id": assignment, "action": "answered", "text": "Réponse jamais validée."})
    producer.flush()
    producer.abort_transaction()
    producer.begin_transaction()
    reply(producer, {"assignment_id": assignment, "action": "acknowledged"}, ce_id="1")
    reply(producer, {"assignment_id": assignment, "action": "acknowledged"}, ce_id="1")
    reply(producer, {"assignment_id": assignment, "action": "in_progress"}, ce_id="1")
    reply(producer, {"assignment_id": str(uuid4()), "action": "acknowledged"})
    producer.produce(OUTBOX, b"\x00 no event at all")
    producer.produce(
        OUTBOX,
        json.dumps({"specversion": "1.0", "id": "2"}),
        headers=[("content-type", b"application/cloudevents+json")],
    )
    producer.commit_transaction()
    producer.begin_transaction()
    reply(producer, {"assignment_id": assignment, "action": "answered", "text": "Un médecin est nommé."})
    producer.commit_transaction()

    wait_until(lambda: services.follow(receipt).json()["status"] == "answered")
    case = services.follow(receipt).json()
    assert case["answer"] == "Un médecin est nommé."
    assert [step["change"] for step in case["timeline"]] == ["opened", "forwarded", "acknowledged", "answered"]
    wait_until(lambda: len(sante.rejections()) == 4)
    assert sorted(sante.rejections()) == ["repeated-id", "unknown-assignment", "unreadable", "unreadable"]
