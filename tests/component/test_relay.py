"""The relay on a real Kafka and PostgreSQL: order per partition, failures set aside, logs made anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from deploy.provisioning import create_topics
from shared.contracts.events import ComplaintSubmitted
from shared.contracts.topics import Topic
from shared.database.pool import Connection, Database
from shared.messaging import consumer as consumer_module
from shared.messaging import relay as relay_module
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox
from shared.messaging.relay import Relay
from shared.testing.builders import submitted_event
from shared.testing.stores import Stores, trusted_database
from shared.testing.waiting import until


@dataclass
class Stand:
    """A database with an outbox, and relays on it."""

    stores: Stores
    database: Database

    async def append(self, topic: Topic, number: int) -> list[str]:
        """Appends events; their ids."""
        events = [submitted_event() for _ in range(number)]

        async def work(connection: Connection) -> tuple[None, list[Outgoing]]:
            return None, [encode(topic, event) for event in events]

        await Outbox(self.database).commit(work)
        return [str(event.id) for event in events]

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        relay = Relay("test", self.database, Outbox(self.database), self.stores.bootstrap_servers)
        task = asyncio.create_task(relay.run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await task


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def stand(stores: Stores, url: str) -> AsyncIterator[Stand]:
    database = await trusted_database(url)
    yield Stand(stores, database)
    await database.close()


@pytest.fixture
def topic(stores: Stores) -> Topic:
    return new_topic(stores)


def new_topic(stores: Stores, partitions: int = 3) -> Topic:
    topic = Topic(f"relay.{uuid4()}", "test", (ComplaintSubmitted,), partitions)
    create_topics(stores.bootstrap_servers, [topic])
    return topic


def read(stores: Stores, topic: Topic) -> list[tuple[int, int, str]]:
    """(partition, sequence, ce_id) of all records of a topic, with another client."""
    consumer = Consumer(
        {"bootstrap.servers": stores.bootstrap_servers, "group.id": str(uuid4()), "enable.auto.commit": False}
    )
    found = []
    try:
        for number in range(topic.partitions):
            partition = TopicPartition(topic.name, number, 0)
            left = consumer.get_watermark_offsets(partition, timeout=10)[1]
            consumer.assign([partition])
            while left:
                for message in consumer.consume(left, timeout=5):
                    headers = dict(message.headers())
                    found.append((number, int(headers["ce_sequence"]), headers["ce_id"].decode()))
                    left -= 1
    finally:
        consumer.close()
    return found


def assert_in_order(records: Sequence[tuple[int, int, str]]) -> None:
    for number in {partition for partition, _, _ in records}:
        sequences = [sequence for partition, sequence, _ in records if partition == number]
        assert sequences == sorted(sequences)


async def test_everything_arrives_once_and_in_order(stand: Stand, topic: Topic) -> None:
    before = await stand.append(topic, 5_000)
    async with stand.relaying():
        after = await stand.append(topic, 500)
    records = read(stand.stores, topic)
    assert_in_order(records)
    assert sorted(ce_id for _, _, ce_id in records) == sorted(before + after)


async def test_two_instances_do_not_double(stand: Stand, topic: Topic) -> None:
    async with stand.relaying(), stand.relaying():
        appended = [ce_id for _ in range(20) for ce_id in await stand.append(topic, 50)]
    assert sorted(ce_id for _, _, ce_id in read(stand.stores, topic)) == sorted(appended)


async def test_a_producer_that_died_is_replaced(stand: Stand, topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[AIOKafkaProducer] = []
    make = relay_module._Producers._make

    def make_and_tell(self: relay_module._Producers) -> AIOKafkaProducer:
        made.append(make(self))
        return made[-1]

    monkeypatch.setattr(relay_module._Producers, "_make", make_and_tell)
    monkeypatch.setattr(relay_module, "_STUCK_SECONDS", 1.0)
    monkeypatch.setattr(consumer_module, "_STOP_SECONDS", 0.5)
    async with stand.relaying():
        first = await stand.append(topic, 10)
        await until(lambda: len(read(stand.stores, topic)) == 10)
        for producer in made:
            producer._sender.sender_task.cancel()
        second = await stand.append(topic, 10)
        await until(lambda: {ce_id for *_, ce_id in read(stand.stores, topic)} == {*first, *second})


async def test_a_crash_between_send_and_mark_is_a_run_sent_again(stand: Stand, topic: Topic) -> None:
    async with stand.relaying():
        ids = await stand.append(topic, 100)
    await stand.database.fetch("UPDATE relay_positions SET position = 0")
    async with stand.relaying():
        await stand.append(topic, 1)
    records = read(stand.stores, topic)
    assert len({ce_id for _, _, ce_id in records}) == 101
    for number in range(topic.partitions):
        run = [sequence for partition, sequence, _ in records if partition == number]
        highest = 0
        kept = [sequence for sequence in run if sequence > highest and (highest := sequence)]
        assert kept == sorted(set(run)), "dropping sequences not above the highest leaves each once, in order"
    assert len(ids) == 100


async def test_a_missing_topic_is_set_aside_and_delivered_once_it_exists(stand: Stand, topic: Topic) -> None:
    missing = Topic(f"relay.{uuid4()}", "test", (ComplaintSubmitted,), 1)
    async with stand.relaying():
        late = await stand.append(missing, 3)
        prompt = await stand.append(topic, 3)
        await until(lambda: len(read(stand.stores, topic)) == 3, seconds=3)
        create_topics(stand.stores.bootstrap_servers, [missing])
        await until(lambda: len(read(stand.stores, missing)) == 3)
    assert {ce_id for _, _, ce_id in read(stand.stores, missing)} == set(late)
    assert {ce_id for _, _, ce_id in read(stand.stores, topic)} == set(prompt)


async def latencies(stand: Stand, topic: Topic, number: int) -> list[float]:
    """Seconds from commit to the record seen by a consumer, one record at a time, sorted."""
    consumer = Consumer(
        {"bootstrap.servers": stand.stores.bootstrap_servers, "group.id": str(uuid4()), "fetch.wait.max.ms": 50}
    )
    end = consumer.get_watermark_offsets(TopicPartition(topic.name, 0), timeout=10)[1]
    consumer.assign([TopicPartition(topic.name, 0, end)])
    found = []
    for _ in range(number):
        began = time.perf_counter()
        await stand.append(topic, 1)
        message = await asyncio.to_thread(consumer.poll, 10)
        assert message is not None and message.error() is None
        found.append(time.perf_counter() - began)
    consumer.close()
    return sorted(found)


async def test_partitions_that_do_not_acknowledge_leave_the_others_as_fast(stand: Stand) -> None:
    """The best of three rounds: other work on the machine may spoil one, a lane that waits spoils all."""
    healthy, starved = new_topic(stand.stores, partitions=1), new_topic(stand.stores, partitions=1)
    missing = Topic(f"relay.{uuid4()}", "test", (ComplaintSubmitted,), 1)
    async with stand.relaying():
        await latencies(stand, healthy, 20)
        before = await p99(stand, healthy)
        set_minimum_replicas(stand.stores, starved, 2)
        late = await stand.append(starved, 20) + await stand.append(missing, 20)
        rounds = [await p99(stand, healthy)]
        while rounds[-1] >= max(2 * before, 0.1) and len(rounds) < 3:
            rounds.append(await p99(stand, healthy))
        set_minimum_replicas(stand.stores, starved, 1)
        create_topics(stand.stores.bootstrap_servers, [missing])
        await until(lambda: len(read(stand.stores, starved) + read(stand.stores, missing)) >= len(late), 45)
    delivered = read(stand.stores, starved) + read(stand.stores, missing)
    assert {ce_id for _, _, ce_id in delivered} == set(late)
    assert min(rounds) < max(2 * before, 0.1), f"p99 {before:.3f} s before, {min(rounds):.3f} s during"


async def p99(stand: Stand, topic: Topic) -> float:
    return (await latencies(stand, topic, 200))[198]


def set_minimum_replicas(stores: Stores, topic: Topic, number: int) -> None:
    """With more than the one replica there is, a topic refuses records that want acks=all."""
    admin = AdminClient({"bootstrap.servers": stores.bootstrap_servers})
    entry = ConfigEntry("min.insync.replicas", str(number), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


@pytest.mark.parametrize("more", [1, 50])
async def test_a_log_made_anew_gets_the_whole_journal_again(stand: Stand, more: int) -> None:
    """Also when the first batch to the new log ends beyond where the old one ended."""
    topic = new_topic(stand.stores, partitions=1)
    async with stand.relaying():
        ids = await stand.append(topic, 10)
        await until(lambda: len(read(stand.stores, topic)) == 10)
        admin = AdminClient({"bootstrap.servers": stand.stores.bootstrap_servers})
        await asyncio.to_thread(admin.delete_topics([topic.name])[topic.name].result)
        await asyncio.to_thread(create_topics_when_gone, stand.stores, topic)
        ids += await stand.append(topic, more)
        await until(lambda: {ce_id for _, _, ce_id in read(stand.stores, topic)} == set(ids))


def create_topics_when_gone(stores: Stores, topic: Topic) -> None:
    admin = AdminClient({"bootstrap.servers": stores.bootstrap_servers})
    while topic.name in admin.list_topics(timeout=10).topics:
        pass
    create_topics(stores.bootstrap_servers, [topic])


async def test_the_journal_goes_on_beyond_the_partitions_it_began_with(stand: Stand, topic: Topic) -> None:
    """PostgreSQL refuses a row whose id has no partition: the relay makes the next one long before."""
    width = 10_000_000
    async with stand.relaying():
        for number in range(1, 4):
            await stand.database.fetch("SELECT setval(pg_get_serial_sequence('outbox', 'id'), $1)", number * width - 2)
            await stand.append(topic, 4)
            next_one = "SELECT to_regclass($1) IS NOT NULL AS made"
            for _ in range(100):
                if (await stand.database.fetch(next_one, f"outbox_{number + 1}"))[0]["made"]:
                    break
                await asyncio.sleep(0.05)
    assert len(read(stand.stores, topic)) == 12
