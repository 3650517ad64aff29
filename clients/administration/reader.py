"""Reads an administration's inbox and rejections, each event once in effect, from the reader's own place on.

Chikaya may send an event again with the same id; the journal drops it. A record that is no valid CloudEvent of a known
type is logged and passed over: a newer Chikaya may write types that this client does not know yet.
"""

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from clients.administration.connection import Connection, KafkaFailed
from clients.administration.journal import Journal
from clients.administration.sinks import Received, Sink
from shared.contracts.topics import topic_named
from shared.messaging.codec import InvalidRecord, Record, decode

log = structlog.get_logger(__name__)

_POLL_MS = 500


class RecordsExpired(Exception):
    """Records were deleted (after 90 days) before this reader saw them: ask Chikaya to send them again."""


class Reader:
    """Brings what comes in to a sink. Run it as one task; its journal belongs to it alone."""

    def __init__(self, connection: Connection, journal: Journal, sink: Sink) -> None:
        self._connection = connection
        self._journal = journal
        self._sink = sink

    async def run(self, stopping: asyncio.Event, *, until_end: bool = False) -> int:
        """Reads until `stopping` is set, or `until_end` of what is there now; how many events were delivered.

        Raises RecordsExpired, KafkaFailed.
        """
        consumer = AIOKafkaConsumer(
            **self._connection.kafka(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )
        partitions = [TopicPartition(topic, 0) for topic in self._connection.topics]
        delivered = 0
        try:
            await consumer.start()
            consumer.assign(partitions)
            await self._seek(consumer, partitions)
            ends = await consumer.end_offsets(partitions)
            while not stopping.is_set():
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    delivered += await self._take(records)
                if until_end and [p for p in partitions if await consumer.position(p) < ends[p]] == []:
                    break
        except KafkaError as error:
            raise KafkaFailed(repr(error)) from error
        finally:
            await consumer.stop()
        return delivered

    async def _seek(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        starts = await consumer.beginning_offsets(partitions)
        for partition in partitions:
            place = self._journal.next_offset(partition.topic)
            if place is not None and place < starts[partition]:
                lost = starts[partition] - place
                raise RecordsExpired(
                    f"{partition.topic}: {lost} records expired unread; ask Chikaya to send them again"
                )
            consumer.seek(partition, starts[partition] if place is None else place)

    async def _take(self, records: Sequence[ConsumerRecord]) -> int:
        delivered = 0
        for raw in records:
            event = _verified(raw)
            if event is not None and not self._journal.is_delivered(event.id):
                await self._sink.deliver(event)
                delivered += 1
            self._journal.passed(raw.topic, raw.offset, None if event is None else event.id)
        return delivered


def _verified(raw: ConsumerRecord) -> Received | None:
    headers = tuple((name, value or b"") for name, value in raw.headers)
    record = Record(raw.topic, raw.partition, raw.offset, raw.key, headers, raw.value)
    try:
        decode(record, topic_named(raw.topic).events)
    except InvalidRecord as error:
        log.warning("record_passed_over", origin=record.origin, error=str(error))
        return None
    attributes = {name.removeprefix("ce_"): value.decode() for name, value in headers if name.startswith("ce_")}
    return Received(raw.topic, raw.offset, attributes, raw.value or b"")
