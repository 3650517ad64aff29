"""Every accepted complaint survives faults: one case, one status, one inbox record per assignment."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from deploy.local.kafka import EmbeddedKafka
from deploy.provisioning import provision_topics
from shared.messaging.republication import forget_cluster
from shared.testing.services import SERVICES, RunningServices, Stand, running_stand

INBOX = "administrations.sante.inbox"
CLIENTS = 16
_SESSION_TIMEOUT_SECONDS = 10


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with running_stand(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def complaints(full: bool) -> int:
    return 2_000 if full else 400


def file_one(services: RunningServices, number: int) -> str:
    """Files one complaint; its id."""
    text = "Aucun médecin aux urgences de l'hôpital"
    return services.file({"subject": f"Hôpital {number}", "text": text, "channel": "web"})["id"]


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


def wait_until_all_forwarded(services: RunningServices, count: int, seconds: float = 60.0) -> dict[str, object]:
    """The conservation report once all are forwarded; the last one seen when they never are."""
    give_up_at = time.monotonic() + seconds
    report = services.conservation()
    while report["states"] != {"forwarded": count} and time.monotonic() < give_up_at:
        time.sleep(0.1)
        report = services.conservation()
    return report


def assert_each_accepted_once(services: RunningServices, accepted: set[str], count: int) -> None:
    report = wait_until_all_forwarded(services, count)
    assert len(accepted) == count
    assert report == {"conserved": True, "accepted": count, "states": {"forwarded": count}, "gap": []}
    records = inbox_records(services.bootstrap_servers)
    assert {complaint for complaint, _ in records} == accepted
    assert len(records) == count, "after de-duplication by ce_id there is one record per assignment"
    assert set(services.stop().values()) == {0}


@pytest.mark.timeout(600)
def test_each_service_killed(stand: Stand, complaints: int, full: bool) -> None:
    services = stand.services
    with ThreadPoolExecutor(CLIENTS) as clients:
        filed = [clients.submit(file_one, services, number) for number in range(complaints)]
        for _ in range(5 if full else 1):
            for name in SERVICES:
                time.sleep(0.3)
                services.kill(name)
        accepted = {future.result() for future in filed}
    for name in SERVICES:
        services.wait_ready(name)
    assert_each_accepted_once(services, accepted, complaints)


@pytest.mark.timeout(300)
def test_broker_and_database_killed(stand: Stand, complaints: int) -> None:
    services = stand.services
    with ThreadPoolExecutor(CLIENTS) as clients:
        filed = [clients.submit(file_one, services, number) for number in range(complaints)]
        time.sleep(0.5)
        stand.kafka.kill()
        stand.kafka.start()
        stand.postgres.kill()
        stand.postgres.start()
        accepted = {future.result() for future in filed}
    assert_each_accepted_once(services, accepted, complaints)


@pytest.mark.timeout(600)
def test_database_restored_to_a_moment_ago(stand: Stand, tmp_path: Path, full: bool) -> None:
    """A copy of the data folder keeps system identifier and timeline: the harder case. `--full` restores twice."""
    services = stand.services
    accepted: set[str] = set()
    for new_timeline in (False, True) if full else (False,):
        accepted |= restore_while_filing(stand, tmp_path / "backup", new_timeline, len(accepted))
    assert_each_accepted_once(services, accepted, len(accepted))


def restore_while_filing(stand: Stand, backup: Path, new_timeline: bool, before: int) -> set[str]:
    """The 300 accepted. Nothing is under way at the kill: what was not yet relayed would be lost with the database."""
    services = stand.services
    with ThreadPoolExecutor(CLIENTS) as clients:
        accepted = set(clients.map(partial(file_one, services), range(100)))
        stand.postgres.backup(backup)
        accepted |= set(clients.map(partial(file_one, services), range(100, 200)))
        wait_until_all_forwarded(services, before + 200)
        stand.postgres.kill()
        stand.postgres.restore(backup, new_timeline=new_timeline)
        stand.postgres.start()
        return accepted | set(clients.map(partial(file_one, services), range(200, 300)))


@pytest.mark.timeout(300)
def test_intake_restarts_while_kafka_is_away(stand: Stand) -> None:
    services = stand.services
    with ThreadPoolExecutor(CLIENTS) as clients:
        accepted = set(clients.map(partial(file_one, services), range(50)))
        stand.kafka.kill()
        services.kill("intake")
        accepted |= set(clients.map(partial(file_one, services), range(50, 100)))
        stand.kafka.start()
        accepted |= set(clients.map(partial(file_one, services), range(100, 150)))
    assert_each_accepted_once(services, accepted, 150)


@pytest.mark.timeout(300)
def test_kafka_lost_for_good(stand: Stand) -> None:
    services = stand.services
    with ThreadPoolExecutor(CLIENTS) as clients:
        accepted = set(clients.map(partial(file_one, services), range(100)))
        services.stop()
        stand.kafka.kill()
        port = int(stand.kafka.bootstrap_servers.rpartition(":")[2])
        with EmbeddedKafka(port=port) as empty:
            provision_topics(empty.bootstrap_servers)
            refused = services.run_once("tracker")
            for url in services.urls.values():
                asyncio.run(forget_cluster(url))
            again = RunningServices(empty.bootstrap_servers, services.urls, services.ports, services.logs)
            for name in SERVICES:
                again.start(name)
            accepted |= set(clients.map(partial(file_one, again), range(100, 200)))
            assert_each_accepted_once(again, accepted, 200)
    assert "./chikaya republish" in refused


@pytest.mark.timeout(300)
def test_a_stopped_consumer_comes_back_after_its_partitions_moved(stand: Stand) -> None:
    services = stand.services
    stopped = services.processes["dispatcher-0"]
    services.start("dispatcher", 1)
    with ThreadPoolExecutor(CLIENTS) as clients:
        accepted = set(clients.map(partial(file_one, services), range(100)))
        stopped.send_signal(signal.SIGSTOP)
        accepted |= set(clients.map(partial(file_one, services), range(100, 200)))
        time.sleep(_SESSION_TIMEOUT_SECONDS + 3)
        stopped.send_signal(signal.SIGCONT)
        accepted |= set(clients.map(partial(file_one, services), range(200, 300)))
    assert_each_accepted_once(services, accepted, 300)
