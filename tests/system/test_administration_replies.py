"""An administration answers in its own outbox, with another Kafka client; whatever is wrong goes back to it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from shared.testing.services import Stand, running_stand
from shared.testing.waiting import wait_until

INBOX = "administrations.sante.inbox"
OUTBOX = "administrations.sante.outbox"
REJECTED = "administrations.sante.rejected"


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with running_stand(tmp_path) as running:
        yield running


def read(stand: Stand, topic: str) -> list[Message]:
    """All committed records of a topic of one partition."""
    consumer = Consumer(
        {"bootstrap.servers": stand.kafka.bootstrap_servers, "group.id": str(uuid4()), "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        found.append(message)
    consumer.close()
    return found


def reply(producer: Producer, data: dict[str, object], ce_id: str | None = None) -> None:
    """Sends a reply in binary mode."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": ce_id or str(uuid4()),
        "ce_source": "/sante",
        "ce_type": "ma.chikaya.administration.replied.v1",
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    producer.produce(OUTBOX, json.dumps(data), headers=[(name, text.encode()) for name, text in headers.items()])


def rejections(stand: Stand) -> list[str]:
    return [json.loads(message.value())["reason"] for message in read(stand, REJECTED)]


@pytest.mark.timeout(180)
def test_replies_in_transactions_with_aborts_and_garbage(stand: Stand) -> None:
    services = stand.services
    body = {"subject": "Hôpital", "text": "Aucun médecin aux urgences de l'hôpital", "channel": "web"}
    receipt = services.file(body)
    wait_until(lambda: len(read(stand, INBOX)) == 1)
    assignment = json.loads(read(stand, INBOX)[0].value())["assignment_id"]

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
    wait_until(lambda: len(rejections(stand)) == 4)
    assert sorted(rejections(stand)) == ["repeated-id", "unknown-assignment", "unreadable", "unreadable"]
