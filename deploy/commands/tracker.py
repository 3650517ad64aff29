"""`./chikaya tracker`: build the read model anew from Kafka beside the live one, compare the two, switch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from rich.progress import Progress

from deploy.commands.options import DEFAULT_DATA, DataFolder, running_state, terminal
from deploy.commands.topics import reader_of
from deploy.local.errors import EmbeddedStackError
from services.tracker.rebuild import Rebuild
from services.tracker.store import bulk
from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import DELIVERIES, INTERNAL_PARTITIONS, LIFECYCLE, SUBMITTED
from shared.messaging.codec import InvalidRecord, Record, decode, sequence_of
from shared.messaging.positions import Partition, Position

TOPICS = (SUBMITTED, LIFECYCLE, DELIVERIES)
_EVENTS = tuple(event for topic in TOPICS for event in topic.events)
_ANSWER_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_PORTION = 2_000

application = typer.Typer(help="Look after the tracker's read model.", no_args_is_help=True)

Kafka = Annotated[str | None, typer.Option("--kafka", help="Bootstrap servers; without it the local stack's.")]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="URL of the tracker's database.")]


class KafkaSilentError(EmbeddedStackError):
    """Kafka gave no records it should have."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"Kafka does not deliver the events ({reason}); the live read model is untouched. Try again.")


@application.callback()
def tracker() -> None:
    """Look after the tracker's read model."""


@application.command()
def rebuild(data: DataFolder = DEFAULT_DATA, *, kafka: Kafka = None, database: DatabaseUrl = None) -> None:
    """Replay all topics into a fresh schema and switch to it atomically; the tracker may run meanwhile."""
    servers, url = _where(data, kafka, database)
    asyncio.run(rebuild_model(servers, url))
    terminal().print("The read model was built anew and is live.")


@application.command()
def check(data: DataFolder = DEFAULT_DATA, *, kafka: Kafka = None, database: DatabaseUrl = None) -> None:
    """Rebuild beside the live read model and compare row for row; exit code 1 when a row differs.

    Both are compared as of the events that the tracker has read; its reading is held up meanwhile, and goes on after.
    """
    servers, url = _where(data, kafka, database)
    different = asyncio.run(compare_model(servers, url))
    for table, number in different.items():
        terminal().print(f"{table}: {'equal' if not number else f'{number} rows differ'}")
    if any(different.values()):
        raise typer.Exit(1)


async def rebuild_model(servers: str, url: str) -> int:
    """Builds and switches; how many events were read."""
    connection = await asyncpg.connect(url)
    try:
        ends, read = await _build(connection, servers, _log_ends(servers))
        async with connection.transaction():
            await bulk.switch(connection, ends)
        return read
    finally:
        await connection.close()


async def compare_model(servers: str, url: str) -> dict[str, int]:
    """Rows that differ, by table, between the live read model and one built of the events it was made of."""
    connection, holding = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with holding.transaction():
            partitions = [(topic.name, number) for topic in TOPICS for number in range(INTERNAL_PARTITIONS)]
            await _build(connection, servers, await bulk.stored_positions(holding, partitions))
            return await bulk.differences(connection)
    finally:
        await holding.close()
        await connection.close()


async def _build(
    connection: asyncpg.Connection[asyncpg.Record], servers: str, until: Mapping[Partition, int]
) -> tuple[dict[Partition, Position], int]:
    """Fills and indexes the fresh schema with the events before `until`."""
    await bulk.prepare(connection)
    building = Rebuild(bulk.Loading(connection))
    ends: dict[Partition, Position] = {}
    total = 0
    with Progress(console=terminal()) as progress:
        task = progress.add_task("events", total=sum(until.values()))
        for number in range(INTERNAL_PARTITIONS):
            for topic in TOPICS:
                partition = topic.name, number
                reading = _Reading(servers, partition, until.get(partition, 0))
                for events in reading.portions():
                    await building.feed(events)
                    total += len(events)
                    progress.update(task, advance=len(events))
                ends[partition] = reading.end
            await building.finish_complaints()
        await building.finish()
        progress.update(task, total=max(total, 1), completed=max(total, 1))
        indexing = progress.add_task("indexes", total=None)
        await bulk.index(connection)
        progress.update(indexing, total=1, completed=1)
    return ends, total


class _Reading:
    """One partition from its beginning to an offset; `end` is where a reader goes on."""

    def __init__(self, servers: str, partition: Partition, until: int) -> None:
        self._servers = servers
        self._partition = partition
        self._until = until
        self.end = Position(until, 0)

    def portions(self) -> Iterator[Sequence[AnyEvent]]:
        """Events whose sequences go forward, as the tracker's inbox takes them; unreadable records are left out."""
        topic, number = self._partition
        consumer = reader_of(self._servers)
        try:
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, number), _ANSWER_SECONDS)
            place, silent = low, 0.0
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
            while place < self._until:
                messages = consumer.consume(_PORTION, _LOOK_SECONDS)
                silent = 0.0 if messages else silent + _LOOK_SECONDS
                if silent > _ANSWER_SECONDS:
                    raise KafkaSilentError(f"{topic}/{number} stands still at {place}")
                events = []
                for message in messages:
                    event, place = self._event(message, place)
                    if event is not None:
                        events.append(event)
                yield events
            self.end = Position(max(self._until, low), self.end.last_sequence)
        except KafkaException as error:
            raise KafkaSilentError(error) from error
        finally:
            consumer.close()

    def _event(self, message: Message, place: int) -> tuple[AnyEvent | None, int]:
        """The event of a record to be counted, and the next place; the end of the partition is the place to stop."""
        failure, offset = message.error(), message.offset()
        if failure is not None and failure.code() == KafkaError._PARTITION_EOF:
            return None, self._until
        if failure is not None or offset is None:
            raise KafkaSilentError(failure)
        if offset >= self._until:
            return None, self._until
        key, value, given = message.key(), message.value(), message.headers() or []
        headers = given.items() if isinstance(given, dict) else given
        record = Record(
            message.topic() or "",
            message.partition() or 0,
            offset,
            key.encode() if isinstance(key, str) else key,
            tuple((name, text) for name, text in headers if isinstance(text, bytes)),
            value.encode() if isinstance(value, str) else value,
        )
        try:
            sequence = sequence_of(record)
            if sequence <= self.end.last_sequence:
                return None, offset + 1
            self.end = Position(self._until, sequence)
            return decode(record, _EVENTS), offset + 1
        except InvalidRecord:
            return None, offset + 1


def _log_ends(servers: str) -> dict[Partition, int]:
    """The end of every partition now."""
    consumer = reader_of(servers)
    try:
        ends = {}
        for topic in TOPICS:
            for number in range(INTERNAL_PARTITIONS):
                _, end = consumer.get_watermark_offsets(TopicPartition(topic.name, number), _ANSWER_SECONDS)
                ends[topic.name, number] = end
        return ends
    except KafkaException as error:
        raise KafkaSilentError(error) from error
    finally:
        consumer.close()


def _where(data: Path, kafka: str | None, database: str | None) -> tuple[str, str]:
    """Kafka and the database as given, else those of the local stack."""
    if kafka is not None and database is not None:
        return kafka, database
    state = running_state(data.absolute())
    return kafka or state.bootstrap_servers, database or state.databases["tracker"]
