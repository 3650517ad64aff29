"""The consume loop on a real Kafka: what expired or was deleted stops one partition, never the service."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from deploy.provisioning import create_topics
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import ComplaintSubmitted
from shared.contracts.topics import Topic
from shared.database.pool import Connection, Database, incarnation_of
from shared.messaging.codec import Outgoing
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.testing.builders import records_of, submitted_event
from shared.testing.stores import Stores
from shared.testing.waiting import until


@dataclass(frozen=True)
class Settings:
    kafka_bootstrap_servers: str
    instance_id: str = "0"
    batch_records: int = 100


@dataclass
class Stand:
    """A consumer on a topic of two partitions, whose handler notes the ids it sees."""

    stores: Stores
    database: Database
    topic: Topic
    name: str = field(default_factory=lambda: f"consumer-{uuid4()}")
    seen: list[UUID] = field(default_factory=list)

    def produce(self, partition: int, number: int, sequence: int = 1) -> list[UUID]:
        """Writes events as a relay would; their ids."""
        events = [submitted_event() for _ in range(number)]
        producer = Producer({"bootstrap.servers": self.stores.bootstrap_servers})
        for record in records_of(self.topic, events, sequence=sequence):
            producer.produce(self.topic.name, record.value, record.key, partition, headers=list(record.headers))
        assert producer.flush(10) == 0
        return [event.id for event in events]

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        async def handle(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
            self.seen += [event.id for event in events]
            return []

        inbox = Inbox("tracker", self.name, Outbox(self.database), handle, self.topic.events)
        settings = Settings(self.stores.bootstrap_servers)
        stopping = asyncio.Event()
        task = asyncio.create_task(Consumer(inbox, settings, topics=[self.topic.name]).run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await task

    def stopped_partitions(self) -> float:
        return REGISTRY.get_sample_value("chikaya_inbox_stopped_partitions", {"consumer": self.name}) or 0.0


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def stand(stores: Stores, url: str) -> AsyncIterator[Stand]:
    topic = Topic(f"consumer.{uuid4()}", "test", (ComplaintSubmitted,), 2)
    create_topics(stores.bootstrap_servers, [topic])
    database = Database(url)
    await database.open()
    connection = await database.connect()
    database.trust(await incarnation_of(connection))
    await connection.close()
    yield Stand(stores, database, topic)
    await database.close()


async def test_a_restart_goes_on_where_it_was(stand: Stand) -> None:
    first = stand.produce(0, 10)
    async with stand.consuming():
        await until(lambda: len(stand.seen) == 10)
    second = stand.produce(0, 10, sequence=11)
    async with stand.consuming():
        await until(lambda: len(stand.seen) == 20)
    assert stand.seen == first + second


async def test_an_expired_log_head_stops_its_partition_only(stand: Stand) -> None:
    stand.produce(0, 10)
    async with stand.consuming():
        await until(lambda: len(stand.seen) == 10)
    stand.produce(0, 10, sequence=11)
    admin = AdminClient({"bootstrap.servers": stand.stores.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(stand.topic.name, 0, 15)]).values():
        future.result()
    async with stand.consuming():
        await until(lambda: stand.stopped_partitions() == 1)
        healthy = stand.produce(1, 5)
        await until(lambda: stand.seen[10:] == healthy)


async def test_a_log_that_got_shorter_stops_its_partition(stand: Stand) -> None:
    stand.produce(0, 10)
    async with stand.consuming():
        await until(lambda: len(stand.seen) == 10)
    await stand.database.fetch("UPDATE inbox_positions SET next_offset = 25 WHERE partition = 0")
    async with stand.consuming():
        await until(lambda: stand.stopped_partitions() == 1)
        healthy = stand.produce(1, 5)
        await until(lambda: stand.seen[10:] == healthy)
