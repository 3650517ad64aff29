"""Every accepted complaint survives kill -9 of each service: one case, one status, one inbox record."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.migrations import migrate_all
from deploy.provisioning import provision_topics
from shared.testing.services import OPERATIONS_TOKEN, SERVICES, RunningServices

INBOX = "administrations.sante.inbox"
COMPLAINTS = 400


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningServices]:
    with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
        urls = {name: postgres.create_database(name) for name in SERVICES}
        migrate_all(urls)
        provision_topics(kafka.bootstrap_servers)
        services = RunningServices(kafka.bootstrap_servers, urls, {name: free_port() for name in SERVICES}, tmp_path)
        for name in SERVICES:
            services.start(name)
        for name in SERVICES:
            services.wait_ready(name)
        yield services
        services.stop()


def file_until_accepted(address: str, number: int) -> str:
    """Files one complaint as a patient client does: the same key until a 201."""
    body = {"subject": f"Hôpital {number}", "text": "Aucun médecin aux urgences de l'hôpital", "channel": "web"}
    headers = {"Idempotency-Key": str(uuid4())}
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        try:
            answer = httpx.post(f"{address}/v1/complaints", json=body, headers=headers, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.2)
            continue
        if answer.status_code == 201:
            return str(answer.json()["id"])
        time.sleep(0.2)
    raise TimeoutError("the complaint was not accepted")


def inbox_records(bootstrap_servers: str) -> Counter[tuple[str, str]]:
    """(complaint id, ce_id) of the records in the administration's inbox, read with another client."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "checker", "enable.auto.commit": False})
    end = consumer.get_watermark_offsets(TopicPartition(INBOX, 0), timeout=10)[1]
    consumer.assign([TopicPartition(INBOX, 0, 0)])
    found: Counter[tuple[str, str]] = Counter()
    position = 0
    while position < end:
        for message in consumer.consume(500, timeout=5):
            headers = dict(message.headers())
            found[headers["ce_subject"].decode(), headers["ce_id"].decode()] += 1
            position = message.offset() + 1
    consumer.close()
    return found


def wait_until_all_forwarded(address: str, count: int) -> dict[str, object]:
    """The conservation report once all are forwarded; the last one seen when they never are."""
    report: dict[str, object] = {}
    for _ in range(300):
        answer = httpx.get(f"{address}/v1/conservation", headers={"Authorization": f"Bearer {OPERATIONS_TOKEN}"})
        report = answer.json()
        if report["states"] == {"forwarded": count}:
            break
        time.sleep(0.1)
    return report


@pytest.mark.timeout(240)
def test_nothing_is_lost_or_doubled_when_each_service_is_killed(running: RunningServices) -> None:
    with ThreadPoolExecutor(16) as clients:
        filed = [clients.submit(file_until_accepted, running.address("intake"), number) for number in range(COMPLAINTS)]
        for name in SERVICES:
            time.sleep(0.3)
            running.kill(name)
            running.start(name)
        accepted = {future.result() for future in filed}
    for name in SERVICES:
        running.wait_ready(name)

    report = wait_until_all_forwarded(running.address("tracker"), COMPLAINTS)

    assert len(accepted) == COMPLAINTS
    assert report == {"conserved": True, "accepted": COMPLAINTS, "states": {"forwarded": COMPLAINTS}, "gap": []}
    records = inbox_records(running.bootstrap_servers)
    assert {complaint for complaint, _ in records} == accepted
    assert len(records) == COMPLAINTS, "after de-duplication by ce_id there is one record per assignment"
    assert set(running.stop().values()) == {0}
