"""The consume loop on a real Kafka: what expired or was deleted stops one partition, never the service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from deploy.provisioning import create_topics
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import ComplaintSubmitted
from shared.contracts.topics import Topic
from shared.database.pool import Connection, Database
from shared.messaging import consumer as consumer_module
from shared.messaging.codec import Outgoing
from shared.messaging.consumer import Consumer, ConsumerStuck
from shared.messaging.inbox import Inbox
from shared.messaging.outbox import Outbox
from shared.testing.builders import records_of, submitted_event
from shared.testing.stores import Stores, trusted_database
from shared.testing.waiting import until


@dataclass(frozen=True)
class Settings:
    kafka_bootstrap_servers: str
    instance_id: str = "0"
    batch_records: int = 100


class TellingConsumer(Consumer):
    """A consumer whose client of Kafka a test can break."""

    client: AIOKafkaConsumer

    def _make(self, topics: list[str]) -> AIOKafkaConsumer:
        self.client = super()._make(topics)
        return self.client


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

    def produce_in_transaction(self, partition: int, number: int) -> list[UUID]:
        """As an administration with a transactional client does: a marker follows the records."""
        events = [submitted_event() for _ in range(number)]
        producer = Producer({"bootstrap.servers": self.stores.bootstrap_servers, "transactional.id": str(uuid4())})
        producer.init_transactions()
        producer.begin_transaction()
        for record in records_of(self.topic, events):
            producer.produce(self.topic.name, record.value, record.key, partition, headers=list(record.headers))
        producer.commit_transaction()
        return [event.id for event in events]

    async def next_offset(self, partition: int) -> int:
        rows = await self.database.fetch(
            "SELECT next_offset FROM inbox_positions WHERE consumer = $1 AND topic = $2 AND partition = $3",
            self.name,
            self.topic.name,
            partition,
        )
        return int(rows[0]["next_offset"]) if rows else 0

    @asynccontextmanager
    async def consuming(self, *more: Topic) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        task = asyncio.create_task(self.consumer(*more).run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await task

    def consumer(self, *more: Topic) -> "TellingConsumer":
        async def handle(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
            self.seen += [event.id for event in events]
            return []

        inbox = Inbox("tracker", self.name, Outbox(self.database), handle, self.topic.events)
        settings = Settings(self.stores.bootstrap_servers)
        return TellingConsumer(inbox, settings, topics=[topic.name for topic in (self.topic, *more)])

    def stopped_partitions(self) -> float:
        return REGISTRY.get_sample_value("chikaya_inbox_stopped_partitions", {"consumer": self.name}) or 0.0


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def stand(stores: Stores, url: str) -> AsyncIterator[Stand]:
    topic = Topic(f"consumer.{uuid4()}", "test", (ComplaintSubmitted,), 2)
    create_topics(stores.bootstrap_servers, [topic])
    database = await trusted_database(url)
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


async def test_a_quick_restart_reads_a_topic_that_was_added(stand: Stand) -> None:
    """A static member that comes back within its session is given its old assignment without a look at its topics."""
    first = stand.produce(0, 5)
    async with stand.consuming():
        await until(lambda: len(stand.seen) == 5)
    added = Stand(stand.stores, stand.database, Topic(f"consumer.{uuid4()}", "test", (ComplaintSubmitted,), 1))
    create_topics(stand.stores.bootstrap_servers, [added.topic])
    second = added.produce(0, 5)
    async with stand.consuming(added.topic):
        await until(lambda: stand.seen == first + second)


async def test_the_marker_of_a_transaction_at_the_end_is_no_loss_when_it_expires(stand: Stand) -> None:
    ids = stand.produce_in_transaction(0, 3)
    async with stand.consuming():
        for _ in range(200):
            if await stand.next_offset(0) == 4:
                break
            await asyncio.sleep(0.1)
    assert stand.seen == ids
    admin = AdminClient({"bootstrap.servers": stand.stores.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(stand.topic.name, 0, 4)]).values():
        future.result()
    async with stand.consuming():
        more = stand.produce(0, 2, sequence=9)
        await until(lambda: stand.seen[3:] == more)
    assert stand.stopped_partitions() == 0


def _fetcher_dies(client: AIOKafkaConsumer) -> None:
    for task in (client._fetcher._fetch_task, *client._fetcher._pending_tasks):
        task.cancel()


def _assignment_never_comes(client: AIOKafkaConsumer) -> None:
    client._subscription.begin_reassignment()


def _metadata_never_come(client: AIOKafkaConsumer) -> None:
    _fetcher_dies(client)
    client._client._sync_task.cancel()
    client._client.force_metadata_update()


@pytest.mark.parametrize("break_it", [_fetcher_dies, _assignment_never_comes, _metadata_never_come])
async def test_a_client_that_reads_nothing_more_ends_the_process(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[AIOKafkaConsumer], None]
) -> None:
    monkeypatch.setattr(consumer_module, "_STUCK_SECONDS", 3.0)
    monkeypatch.setattr(consumer_module, "_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(consumer_module, "_STOP_SECONDS", 0.5)
    consumer = stand.consumer()
    running = asyncio.create_task(consumer.run(asyncio.Event()))
    stand.produce(0, 3)
    await until(lambda: len(stand.seen) == 3)
    break_it(consumer.client)
    stand.produce(0, 3, sequence=4)
    with pytest.raises(ConsumerStuck):
        await asyncio.wait_for(running, 30)


async def test_a_quiet_topic_is_not_taken_for_a_broken_client(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "_STUCK_SECONDS", 3.0)
    monkeypatch.setattr(consumer_module, "_LOOK_SECONDS", 0.3)
    async with stand.consuming():
        ids = stand.produce_in_transaction(0, 3)
        await until(lambda: stand.seen == ids)
        await asyncio.sleep(5)
        more = stand.produce(1, 3)
        await until(lambda: stand.seen[3:] == more)
