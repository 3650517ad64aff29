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


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with running_stand(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture(scope="module")
def accepted() -> set[str]:
    """The ledger: the ids of all complaints accepted by this stand, whatever the test."""
    return set()


@pytest.fixture(scope="session")
def complaints(full: bool) -> int:
    return 2_000 if full else 300


def file_one(services: RunningServices, number: int) -> str:
    """Files one complaint; its id."""
    text = "Aucun médecin aux urgences de l'hôpital"
    named = {"subject": f"Hôpital {number}", "text": text, "channel": "web", "administration": "sante"}
    return services.file(named)["id"]


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


def assert_each_accepted_once(services: RunningServices, accepted: set[str]) -> None:
    count = len(accepted)
    report = wait_until_all_forwarded(services, count)
    assert report == {"conserved": True, "accepted": count, "states": {"forwarded": count}, "gap": []}
    records = inbox_records(services.bootstrap_servers)
    assert {complaint for complaint, _ in records} == accepted
    assert len(records) == count, "after de-duplication by ce_id there is one record per assignment"


def file_many(services: RunningServices, number: int) -> set[str]:
    """Files complaints from several clients at once; their ids."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        filed = set(clients.map(partial(file_one, services), range(number)))
    assert len(filed) == number
    return filed


@pytest.mark.timeout(600)
def test_each_service_killed(stand: Stand, accepted: set[str], complaints: int, full: bool) -> None:
    services = stand.services
    with ThreadPoolExecutor(1) as filing:
        filed = filing.submit(file_many, services, complaints)
        for _ in range(5 if full else 1):
            for name in SERVICES:
                time.sleep(0.3)
                services.kill(name)
        accepted |= filed.result()
    for name in SERVICES:
        services.wait_ready(name)
    assert_each_accepted_once(services, accepted)


@pytest.mark.timeout(300)
def test_broker_and_database_killed(stand: Stand, accepted: set[str], complaints: int) -> None:
    with ThreadPoolExecutor(1) as filing:
        filed = filing.submit(file_many, stand.services, complaints)
        time.sleep(0.5)
        stand.kafka.kill()
        stand.kafka.start()
        stand.postgres.kill()
        stand.postgres.start()
        accepted |= filed.result()
    assert_each_accepted_once(stand.services, accepted)


@pytest.mark.timeout(300)
def test_database_killed_while_nobody_files(stand: Stand, accepted: set[str]) -> None:
    """What was accepted goes on without a later request that would notice the new server first."""
    stand.kafka.kill()
    accepted |= file_many(stand.services, 50)
    stand.postgres.kill()
    stand.postgres.start()
    stand.kafka.start()
    assert_each_accepted_once(stand.services, accepted)


@pytest.mark.timeout(600)
def test_database_restored_to_a_moment_ago(stand: Stand, accepted: set[str], tmp_path: Path, full: bool) -> None:
    """A copy of the data folder keeps system identifier and timeline: the harder case. `--full` restores twice.

    Nothing is under way at the kill: what was not yet relayed would be lost with the database.
    """
    for new_timeline in (False, True) if full else (False,):
        accepted |= file_many(stand.services, 50)
        stand.postgres.backup(tmp_path / "backup")
        accepted |= file_many(stand.services, 100)
        wait_until_all_forwarded(stand.services, len(accepted))
        stand.postgres.kill()
        stand.postgres.restore(tmp_path / "backup", new_timeline=new_timeline)
        stand.postgres.start()
        accepted |= file_many(stand.services, 50)
        assert_each_accepted_once(stand.services, accepted)


@pytest.mark.timeout(300)
def test_intake_restarts_while_kafka_is_away(stand: Stand, accepted: set[str]) -> None:
    stand.kafka.kill()
    stand.services.kill("intake")
    accepted |= file_many(stand.services, 50)
    stand.kafka.start()
    accepted |= file_many(stand.services, 50)
    assert_each_accepted_once(stand.services, accepted)


@pytest.mark.timeout(300)
def test_a_stopped_consumer_comes_back_after_its_partitions_moved(stand: Stand, accepted: set[str]) -> None:
    services = stand.services
    stopped = services.processes["dispatcher-0"]
    services.start("dispatcher", 1)
    accepted |= file_many(services, 50)
    stopped.send_signal(signal.SIGSTOP)
    accepted |= file_many(services, 100)
    time.sleep(_SESSION_TIMEOUT_SECONDS + 3)
    stopped.send_signal(signal.SIGCONT)
    accepted |= file_many(services, 50)
    assert_each_accepted_once(services, accepted)


@pytest.mark.timeout(300)
def test_kafka_lost_for_good(stand: Stand, accepted: set[str]) -> None:
    """The last test of this stand: a new and empty cluster gets the whole journals."""
    services = stand.services
    accepted |= file_many(services, 50)
    assert set(services.stop().values()) == {0}
    port = int(stand.kafka.bootstrap_servers.rpartition(":")[2])
    stand.kafka.kill()
    with EmbeddedKafka(port=port) as empty:
        provision_topics(empty.bootstrap_servers)
        refused = services.run_once("tracker")
        for url in services.urls.values():
            asyncio.run(forget_cluster(url))
        again = RunningServices(empty.bootstrap_servers, services.urls, services.ports, services.logs)
        for name in SERVICES:
            again.start(name)
        accepted |= file_many(again, 50)
        assert_each_accepted_once(again, accepted)
        assert set(again.stop().values()) == {0}
    assert "./chikaya republish" in refused
