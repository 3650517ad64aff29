"""Verification of the database against Kafka, and recovery when the database went back in time.

Every event carries the full state that resulted, so a service's own topics are its recovery log. On start, and
whenever connections reach another incarnation of the database (see `shared.database.pool`), work stands still
until the service has read what its topics hold beyond its relay positions:

* Nothing unknown to the journal: the incarnation is trusted. This is the usual case, and costs one request.
* Events the journal does not know: the database was restored to a time before them. In one transaction they enter
  the journal again under their own sequences, the service upserts their state by version, relay positions move past
  them, and the identity sequence moves above them. One transaction of old may have written events to several
  partitions of which only some were relayed: the service says again what belongs to the state it restored. Then the
  incarnation is trusted.

Inputs read again after that are skipped where their output is known, and handled anew where nothing of it had left
the database. Commits that were never relayed are lost unless a synchronous standby exists: production needs one.

While Kafka is away an incarnation of the same system and timeline is trusted for the time being, with the identity
sequence moved far ahead, so that intake goes on accepting; nothing is relayed before the verification.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import topic_named, written_by
from shared.database.pool import Connection, Database, incarnation_of, is_transient
from shared.messaging import metrics
from shared.messaging.cluster import Cluster, WrongTopicSettings, check_topics, read_cluster
from shared.messaging.codec import InvalidRecord, Outgoing, Record, decode, sequence_of
from shared.messaging.consumer import consumed, stop_client
from shared.messaging.outbox import append, headers_to_text, remember_events

log = structlog.get_logger(__name__)

Restore = Callable[[Connection, Sequence[AnyEvent]], Awaitable[Sequence[Outgoing]]]
"""Upserts, by version, the state that a service's own events carry; returns what must be said again, same ids."""

_RECOVERY_LOCK = 0x43484B03
_LEAP = 1_000_000
_READ_MS = 1_000
_VERIFY_AGAIN_SECONDS = 0.3
_PORTION = 5_000

_IDENTITY = "SELECT system_identifier, timeline, cluster_id FROM store_identity"
_REMEMBER = """
INSERT INTO store_identity (only_row, system_identifier, timeline, cluster_id) VALUES (true, $1, $2, $3)
ON CONFLICT (only_row) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline
"""
_POSITIONS = "SELECT topic, partition, kafka_offset FROM relay_positions"
_KNOWN = "SELECT event_id FROM outbox WHERE event_id = ANY($1::uuid[]) AND id = ANY($2::bigint[])"
_JOURNAL = """
INSERT INTO outbox (id, topic, partition, key, event_id, headers, value) OVERRIDING SYSTEM VALUE
SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[], $5::uuid[], $6::text[], $7::bytea[])
"""
_MOVE = """
INSERT INTO relay_positions (topic, partition, position, kafka_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET position = excluded.position, kafka_offset = excluded.kafka_offset
WHERE relay_positions.position < excluded.position
"""
_RAISE_SEQUENCE = """
SELECT outbox_ensure_partitions($1),
       setval(pg_get_serial_sequence('outbox', 'id'), greatest($1, nextval(pg_get_serial_sequence('outbox', 'id'))))
"""


class AnotherCluster(Exception):
    """Kafka is another cluster than the journal was relayed to."""


class SchemaMissing(Exception):
    """The database has no tables, or old ones."""


OPERATOR_ERRORS = (AnotherCluster, SchemaMissing, WrongTopicSettings)
"""What only an operator can mend; the message says how."""


_Found = tuple[int, Record, AnyEvent]
"""A sequence, its record and its event."""


class Recovery:
    """Verifies the incarnations of one service's database. Run `verify` once before any work, then `watch`."""

    def __init__(self, service: str, database: Database, bootstrap_servers: str, restore: Restore) -> None:
        self._service = service
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._restore = restore

    async def verify(self, *, without_kafka: bool = False) -> None:
        """Returns once the present incarnation is trusted; waits for the database, and for Kafka.

        With `without_kafka`, an incarnation of the known system and timeline is trusted for the time being when
        Kafka does not answer; `watch` verifies it later. Raises one of OPERATOR_ERRORS.
        """
        while True:
            try:
                return await self._verify_once()
            except asyncpg.UndefinedTableError as error:
                raise SchemaMissing(f"{error}: migrate the database of {self._service}, then start it") from error
            except KafkaError as error:
                log.warning("verification_waits_for_kafka", error=repr(error))
                if without_kafka and await self._trust_for_now():
                    return
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("verification_waits_for_database", error=repr(error))
            await asyncio.sleep(0.3)

    async def watch(self, stopping: asyncio.Event, *, without_kafka: bool = False) -> None:
        """Verifies again each time a connection reached another incarnation; see `verify` for `without_kafka`."""
        while not stopping.is_set():
            suspicion = asyncio.create_task(self._database.suspect.wait())
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({suspicion, stop}, return_when=asyncio.FIRST_COMPLETED)
            suspicion.cancel()
            stop.cancel()
            if not stopping.is_set():
                await self.verify(without_kafka=without_kafka)
                await asyncio.sleep(_VERIFY_AGAIN_SECONDS)

    async def _verify_once(self) -> None:
        connection = await self._database.connect()
        try:
            incarnation = await incarnation_of(connection)
            cluster = await read_cluster(self._bootstrap_servers)
            check_topics(cluster)
            await self._check_cluster(connection, cluster)
            await connection.execute("SELECT pg_advisory_lock($1)", _RECOVERY_LOCK)
            async for records in self._read_tail(connection, cluster):
                async with connection.transaction():
                    await self._recover(connection, _events(records))
            await connection.execute(_REMEMBER, *incarnation[:2], cluster.cluster_id)
        finally:
            connection.terminate()
        self._database.trust(incarnation)
        log.info("database_trusted", timeline=incarnation.timeline)

    async def _check_cluster(self, connection: Connection, cluster: Cluster) -> None:
        known = await connection.fetchrow(_IDENTITY)
        if known is not None and known["cluster_id"] != cluster.cluster_id:
            raise AnotherCluster(
                f"{self._service} was relayed to Kafka cluster {known['cluster_id']} and met {cluster.cluster_id}. "
                "If the old one is lost for good, stop the services and run `./chikaya republish`. "
                "If not, correct CHIKAYA_KAFKA_BOOTSTRAP_SERVERS."
            )

    async def _trust_for_now(self) -> bool:
        try:
            connection = await self._database.connect()
        except (TimeoutError, OSError, asyncpg.PostgresError):
            return False
        try:
            incarnation = await incarnation_of(connection)
            if incarnation == self._database.trusted:
                return True
            known = await connection.fetchrow(_IDENTITY)
            if known is None or (known["system_identifier"], known["timeline"]) != incarnation[:2]:
                return False
            last: int = await connection.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
            await connection.execute(_RAISE_SEQUENCE.replace("$1", str(last + _LEAP)))
        finally:
            connection.terminate()
        self._database.trust(incarnation)
        self._database.suspect.set()
        log.warning("database_trusted_without_kafka")
        return True

    async def _read_tail(self, connection: Connection, cluster: Cluster) -> AsyncIterator[list[Record]]:
        """Reads this service's own partitions from after the last offset it knows to the end, in portions."""
        known = {(r["topic"], r["partition"]): r["kafka_offset"] + 1 for r in await connection.fetch(_POSITIONS)}
        marks = {
            TopicPartition(topic.name, number): known.get((topic.name, number), 0)
            for topic in written_by(self._service, cluster.topics)
            for number in range(cluster.topics[topic.name])
            if topic.events
        }
        if not marks:
            return
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers, auto_offset_reset="earliest", max_poll_records=_PORTION
        )
        try:
            await consumer.start()
            # Assigned and sought at once: all topics become known in one request.
            consumer.assign(list(marks))
            _seek(consumer, marks)
            starts = await consumer.beginning_offsets(list(marks))
            ends = await consumer.end_offsets(list(marks))
            begins = {p: max(mark, starts[p]) for p, mark in marks.items()}
            unread = {p: end for p, end in ends.items() if end > begins[p]}
            if unread:
                consumer.assign(list(unread))
                _seek(consumer, {p: begins[p] for p in unread})
            while unread:
                polled = await consumer.getmany(timeout_ms=_READ_MS)
                yield [consumed(raw) for records in polled.values() for raw in records]
                unread = {p: end for p, end in unread.items() if await consumer.position(p) < end}
        finally:
            await stop_client(consumer)

    async def _recover(self, connection: Connection, found: Sequence[_Found]) -> None:
        """Restores what the journal does not know; nothing to do in the usual case."""
        rows = await connection.fetch(_KNOWN, [event.id for _, _, event in found], [s for s, _, _ in found])
        known = {row["event_id"] for row in rows}
        lost = [item for item in found if item[2].id not in known]
        if not lost:
            return
        log.error("database_went_back_in_time", lost_events=len(lost))
        await connection.execute(_RAISE_SEQUENCE.replace("$1", str(max(sequence for sequence, _, _ in lost))))
        await _write_journal(connection, lost)
        events = [event for _, _, event in lost]
        await remember_events(connection, [event.id for event in events])
        again = await self._restore(connection, events)
        await _move_past(connection, found)
        await append(connection, again)
        metrics.RECOVERED.labels(self._service).inc(len(lost))


def _seek(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    for partition, offset in offsets.items():
        consumer.seek(partition, offset)


def _events(records: Sequence[Record]) -> list[_Found]:
    """The events in these records, each once, by sequence."""
    found: dict[UUID, _Found] = {}
    for record in records:
        try:
            event = decode(record, topic_named(record.topic).events)
        except InvalidRecord as error:
            log.error("foreign_record_in_own_topic", origin=record.origin, error=str(error))
            continue
        found[event.id] = (sequence_of(record), record, event)
    return sorted(found.values(), key=lambda item: item[0])


async def _write_journal(connection: Connection, lost: Sequence[_Found]) -> None:
    await connection.execute(
        _JOURNAL,
        [sequence for sequence, _, _ in lost],
        [record.topic for _, record, _ in lost],
        [record.partition for _, record, _ in lost],
        [record.key for _, record, _ in lost],
        [event.id for _, _, event in lost],
        [headers_to_text(h for h in record.headers if h[0] != "ce_sequence") for _, record, _ in lost],
        [record.value for _, record, _ in lost],
    )


async def _move_past(connection: Connection, found: Sequence[_Found]) -> None:
    last = {(record.topic, record.partition): (sequence, record.offset) for sequence, record, _ in found}
    await connection.execute(
        _MOVE,
        [topic for topic, _ in last],
        [number for _, number in last],
        [sequence for sequence, _ in last.values()],
        [offset for _, offset in last.values()],
    )
