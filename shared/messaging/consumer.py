"""The consume loop, written once: Kafka to an inbox.

Kafka's committed offset is only a hint for tools. On assignment and after any error the loop seeks to the stored
`next_offset` and ignores whatever was fetched before; there is no automatic reset. Offsets that vanished (log start
beyond the stored position) or a log that got shorter stop that partition with an error, never the service.
Membership is static, so a restart moves nothing; a static member's id names the topics it reads, since the broker
would give a member that comes back quickly its old topics. `getmany` is cancelled only to give the client up, since
that disarms aiokafka's poll interval check.

A client whose inner tasks died reads nothing and says nothing. So the loop looks by itself: when nothing came for a
while although there is something to read, it raises ConsumerStuck, which ends the process; its supervisor starts it
again.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Protocol
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import ConsumerRecord

from shared.database.pool import is_transient
from shared.messaging import metrics
from shared.messaging.cluster import read_cluster
from shared.messaging.codec import Record
from shared.messaging.inbox import Inbox, PositionWentBack, TooManyUnreadable

log = structlog.get_logger(__name__)

_POLL_MS = 500
_HINT_SECONDS = 2.0
_STOP_SECONDS = 5.0
_RETRY_HELD_SECONDS = 5.0
_STUCK_SECONDS = 30.0
_LOOK_SECONDS = 10.0


class ConsumerStuck(Exception):
    """The client of Kafka reads nothing although there is something to read: only a new process helps."""


class ConsumerSettings(Protocol):
    """Where Kafka is, which static member this process is, and the most records handled in one transaction."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def batch_records(self) -> int: ...


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Feeds one inbox from `topics`, or from all topics that match `pattern`. Run it as one task."""

    def __init__(
        self,
        inbox: Inbox,
        settings: ConsumerSettings,
        *,
        topics: Iterable[str] = (),
        pattern: str | None = None,
    ) -> None:
        self._inbox = inbox
        self._bootstrap_servers = settings.kafka_bootstrap_servers
        self._instance_id = settings.instance_id
        self._topics = sorted(topics)
        self._pattern = pattern
        self._batch_records = settings.batch_records
        self._expected: dict[TopicPartition, int] = {}
        """The next offset of each partition that was sought: only these partitions' records count."""
        self._stopped: dict[TopicPartition, str] = {}
        self._hinted: dict[TopicPartition, int] = {}
        self._generation = 0
        self._quiet_since = 0.0
        self._behind: dict[TopicPartition, int] = {}
        """The partitions that held something unread at the last look, and the offset they stood at."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Consumes until `stopping` is set. Raises ConsumerStuck, and errors that are neither Kafka's nor transient."""
        while not stopping.is_set():
            try:
                consumer = self._make(await self._matching_topics())
            except KafkaError as error:
                log.warning("consumer_waits_for_kafka", consumer=self._inbox.consumer, error=repr(error))
                await asyncio.sleep(0.5)
                continue
            try:
                await consumer.start()
                await self._consume(consumer, stopping)
            except KafkaError as error:
                log.warning("consumer_interrupted", consumer=self._inbox.consumer, error=repr(error))
                await asyncio.sleep(0.5)
            finally:
                await stop_client(consumer)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._generation += 1
        self._expected.clear()
        self._hinted.clear()
        self._stopped.clear()
        metrics.STOPPED.labels(self._inbox.consumer).set(0)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("partitions_assigned", consumer=self._inbox.consumer, count=len(list(assigned)))

    async def _matching_topics(self) -> list[str]:
        if self._pattern is None:
            return self._topics
        cluster = await read_cluster(self._bootstrap_servers)
        return sorted(name for name in cluster.topics if re.match(self._pattern, name))

    def _make(self, topics: list[str]) -> AIOKafkaConsumer:
        member = f"{self._inbox.consumer}-{self._instance_id}-{crc32(' '.join(topics).encode()):08x}"
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            group_id=self._inbox.consumer,
            group_instance_id=member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=self._batch_records,
            metadata_max_age_ms=15_000,
            retry_backoff_ms=100,
        )
        if self._pattern is not None:
            consumer.subscribe(pattern=self._pattern, listener=self)
        else:
            consumer.subscribe(topics=self._topics, listener=self)
        return consumer

    async def _consume(self, consumer: AIOKafkaConsumer, stopping: asyncio.Event) -> None:
        next_hint = next_retry = next_look = self._quiet_since = time.monotonic()
        while not stopping.is_set():
            try:
                await self._seek_new(consumer)
                await self._handle(consumer, await self._poll(consumer))
                if time.monotonic() >= next_retry:
                    next_retry = time.monotonic() + _RETRY_HELD_SECONDS
                    await self._inbox.retry_held()
                if time.monotonic() >= next_hint:
                    next_hint = time.monotonic() + _HINT_SECONDS
                    await self._leave_hint(consumer)
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + _LOOK_SECONDS
                    await self._look_for_unread(consumer)
            except NoOffsetForPartitionError:
                continue  # Kafka has no hint for a new partition; its place was sought already
            except OffsetOutOfRangeError as error:
                for partition in error.args[0]:
                    self._expected.pop(partition, None)
            except PositionWentBack as error:
                log.warning("position_went_back", consumer=self._inbox.consumer, error=str(error))
                self._expected.clear()
            except CorruptRecordException as error:
                await self._stop_corrupt(consumer, error)
            except TooManyUnreadable as error:
                self._expected.clear()
                self._stop(consumer, TopicPartition(*error.partition), str(error))
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("consumer_retries", consumer=self._inbox.consumer, error=repr(error))
                self._expected.clear()
                await asyncio.sleep(0.5)

    async def _poll(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What can be read now. Raises ConsumerStuck for a client that waits for an assignment that never comes."""
        waiting = asyncio.timeout(_STUCK_SECONDS)
        try:
            async with waiting:
                polled: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(timeout_ms=_POLL_MS)
        except TimeoutError as error:
            if waiting.expired():
                raise ConsumerStuck(f"{self._inbox.consumer}: no assignment for {_STUCK_SECONDS:.0f} s") from error
            raise
        if polled:
            self._quiet_since = time.monotonic()
        return polled

    async def _look_for_unread(self, consumer: AIOKafkaConsumer) -> None:
        """Raises ConsumerStuck when after a quiet time two looks find the same records unread."""
        if time.monotonic() < self._quiet_since + _STUCK_SECONDS:
            self._behind.clear()
            return
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                positions = {p: await consumer.position(p) for p in self._expected if p in consumer.assignment()}
                ends = await consumer.end_offsets(list(positions))
        except (KafkaError, TimeoutError):
            await self._look_from_outside()
            return
        behind = {p: offset for p, offset in positions.items() if ends[p] > offset}
        if behind.items() & self._behind.items():
            raise ConsumerStuck(f"{self._inbox.consumer}: nothing was read of {sorted(behind)}")
        self._behind = behind

    async def _look_from_outside(self) -> None:
        """Raises ConsumerStuck when Kafka answers a new client but not this one; that Kafka is away is no fault."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await read_cluster(self._bootstrap_servers)
        except (KafkaError, TimeoutError):
            self._quiet_since = time.monotonic()
        else:
            if time.monotonic() > self._quiet_since + 2 * _STUCK_SECONDS:
                raise ConsumerStuck(f"{self._inbox.consumer}: Kafka answers others only")

    async def _seek_new(self, consumer: AIOKafkaConsumer) -> None:
        """Brings newly assigned partitions to their stored positions, or stops them with an error."""
        new = [p for p in consumer.assignment() if p not in self._expected and p not in self._stopped]
        if not new:
            return
        generation = self._generation
        starts = await consumer.beginning_offsets(new)
        ends = await consumer.end_offsets(new)
        stored = await self._inbox.register({(p.topic, p.partition): starts[p] for p in new})
        if generation != self._generation:
            return
        try:
            for partition in new:
                self._seek(consumer, partition, stored[partition.topic, partition.partition], starts, ends)
        except IllegalStateError:
            self._expected.clear()

    def _seek(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        next_offset: int,
        starts: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
    ) -> None:
        if starts[partition] > next_offset:
            lost = starts[partition] - next_offset
            self._stop(consumer, partition, f"{lost} records expired unread: the log starts at {starts[partition]}")
        elif ends[partition] < next_offset:
            self._stop(consumer, partition, f"the log ends at {ends[partition]}, before the position {next_offset}")
        else:
            consumer.seek(partition, next_offset)
            self._expected[partition] = next_offset

    def _stop(self, consumer: AIOKafkaConsumer, partition: TopicPartition, reason: str) -> None:
        consumer.pause(partition)
        self._stopped[partition] = reason
        metrics.STOPPED.labels(self._inbox.consumer).set(len(self._stopped))
        log.error(
            "partition_stopped",
            consumer=self._inbox.consumer,
            topic=partition.topic,
            partition=partition.partition,
            reason=reason,
        )

    async def _handle(self, consumer: AIOKafkaConsumer, polled: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        sought = {partition: records for partition, records in polled.items() if partition in self._expected}
        if not sought:
            return
        generation = self._generation
        moved = await self._inbox.commit(
            {(p.topic, p.partition): [consumed(r) for r in records] for p, records in sought.items()},
            {(p.topic, p.partition): self._expected[p] for p in sought},
            {(p.topic, p.partition): await consumer.position(p) for p in sought},
        )
        if generation == self._generation:
            self._expected.update({TopicPartition(*p): offset for p, offset in moved.items()})

    async def _stop_corrupt(self, consumer: AIOKafkaConsumer, error: CorruptRecordException) -> None:
        """Finds the partitions with a record that aiokafka cannot parse, and stops only those."""
        expected, self._expected = self._expected, {}
        ends = await consumer.end_offsets(list(expected))
        for partition in [p for p, offset in expected.items() if ends[p] > offset]:
            consumer.seek(partition, expected[partition])
            try:
                await consumer.getmany(partition, timeout_ms=_POLL_MS)
            except CorruptRecordException:
                self._stop(consumer, partition, f"a record from {expected[partition]} on cannot be parsed: {error}")

    async def _leave_hint(self, consumer: AIOKafkaConsumer) -> None:
        """Moves positions past transaction markers, and tells Kafka where this consumer is."""
        passed = {p: await consumer.position(p) for p in self._expected if p in consumer.assignment()}
        markers = {p: offset for p, offset in passed.items() if offset > self._expected.get(p, offset)}
        if markers:
            await self._inbox.skip_to(
                {(p.topic, p.partition): offset for p, offset in markers.items()},
                {(p.topic, p.partition): self._expected[p] for p in markers},
            )
            self._expected.update(markers)
        hints = {p: offset for p, offset in self._expected.items() if self._hinted.get(p) != offset}
        if hints:
            try:
                await consumer.commit(hints)
                self._hinted.update(hints)
            except (KafkaError, IllegalStateError) as error:
                log.info("offset_hint_failed", consumer=self._inbox.consumer, error=repr(error))


async def stop_client(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stops a client of aiokafka. A consumer's fetcher can swallow the cancellation it is stopped by, when an
    assignment ends at the same moment, and would then never end: it is cancelled once more after a while, then left
    behind.
    """
    stopping = asyncio.ensure_future(client.stop())
    for _ in range(2):
        done, _ = await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
        if done:
            if not stopping.cancelled() and (error := stopping.exception()) is not None:
                log.warning("client_stop_failed", error=repr(error))
            return
        stopping.cancel()


def consumed(raw: ConsumerRecord) -> Record:
    """A record as aiokafka gives it; a null header becomes an empty one."""
    headers = tuple((name, value or b"") for name, value in raw.headers)
    return Record(raw.topic, raw.partition, raw.offset, raw.key, headers, raw.value)
