"""The relay: carries the outbox to Kafka, one leader per service.

Why it neither loses nor reorders:

* The leader is whoever holds a session advisory lock; it reads and moves positions on that same session, with
  `WHERE position = old`. A leader that lost its session can move nothing.
* Each (topic, partition) is a *lane* with its own position, moved only after Kafka acknowledged (acks=all). A lane
  sends one batch at a time. After a failure it sends the same rows again before any later ones: in every partition
  sequences only go forward, apart from runs sent again, which readers drop by sequence (or by `ce_id`, outside).
* A crash between acknowledgement and mark, or a stalled leader that wakes up late, is such a run and nothing more.
* A lane that is not acknowledged is set aside: it is tried again with a backoff, on a producer that only lanes set
  aside use, from its own index range; all others go on. The producers are not idempotent on purpose: aiokafka's
  idempotent producer never gives up a batch, so it could not be left behind (docs/decisions/0001).
* A log that got shorter than what it acknowledged was deleted and made anew: its lane starts again from the
  beginning of the journal.
"""

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.database.pool import Database, is_transient
from shared.messaging import metrics
from shared.messaging.consumer import stop_client
from shared.messaging.outbox import CHANNEL, Outbox, headers_from_text

log = structlog.get_logger(__name__)

Lane = tuple[str, int]

_LEADER_LOCK = 0x43484B02
_READ_ROWS = 4_000
_LOOK_FOR_ROOM_EVERY = 1_000_000
_BATCH_BYTES = 512 * 1024
_ACKNOWLEDGE_SECONDS = 10
_STUCK_SECONDS = 30
_GOOD_LANES_WAIT = 0.05
_IDLE_WAIT = 1.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

_PREPARE_SESSION = "SET synchronous_commit TO off"
_LANES = """
WITH RECURSIVE lanes AS (
    (SELECT topic, partition FROM outbox ORDER BY topic, partition LIMIT 1)
    UNION ALL
    SELECT following.topic, following.partition FROM lanes, LATERAL (
        SELECT topic, partition FROM outbox
        WHERE (topic, partition) > (lanes.topic, lanes.partition) ORDER BY topic, partition LIMIT 1
    ) AS following
)
SELECT topic, partition, coalesce(position, 0) AS position, coalesce(kafka_offset, -1) AS kafka_offset,
       position IS NULL AS is_new,
       EXISTS (SELECT FROM outbox WHERE outbox.topic = lanes.topic AND outbox.partition = lanes.partition
                                    AND outbox.id > coalesce(relay_positions.position, 0)) AS is_behind
FROM lanes LEFT JOIN relay_positions USING (topic, partition)
"""
_MAKE_ROOM = "SELECT outbox_ensure_partitions($1)"
_LAST_ID = "SELECT coalesce(max(id), 0) FROM outbox"
_NEW_LANES = "INSERT INTO relay_positions (topic, partition) SELECT * FROM unnest($1::text[], $2::int[])"
_COLUMNS = "id, topic, partition, key, headers, value"
_AFTER = f"SELECT {_COLUMNS} FROM outbox WHERE id > $1 ORDER BY id LIMIT $2"
_LANE_AFTER = f"""
SELECT {_COLUMNS} FROM outbox WHERE topic = $1 AND partition = $2 AND id > $3 ORDER BY topic, partition, id LIMIT $4
"""
_MOVE = """
UPDATE relay_positions SET position = moved.position, kafka_offset = moved.kafka_offset
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
     AS moved (topic, partition, old, position, kafka_offset)
WHERE relay_positions.topic = moved.topic AND relay_positions.partition = moved.partition
  AND relay_positions.position = moved.old
"""


class LeadershipLost(Exception):
    """Another instance moved a position, or a producer died: stop relaying and stand for leader again."""


@dataclass(slots=True)
class _LaneState:
    """What the leader knows of one lane. `position` is the last id Kafka acknowledged."""

    lane: Lane
    position: int = 0
    kafka_offset: int = -1
    behind: bool = False
    sending: "asyncio.Task[_Sent] | None" = None
    pause: float = 0.0
    retry_at: float = 0.0

    @property
    def set_aside(self) -> bool:
        return self.pause > 0


@dataclass(frozen=True, slots=True)
class _Sent:
    position: int
    first_offset: int
    whole: bool
    count: int

    @property
    def kafka_offset(self) -> int:
        """The offset of the last record sent."""
        return self.first_offset + self.count - 1


@dataclass(slots=True)
class _Producers:
    """One producer for lanes in good standing, one for lanes set aside."""

    bootstrap_servers: str
    good: AIOKafkaProducer = field(init=False)
    aside: AIOKafkaProducer = field(init=False)

    async def start(self) -> None:
        self.good, self.aside = self._make(), self._make()
        try:
            await self.good.start()
            await self.aside.start()
        except BaseException:
            await self.stop()
            raise

    def _make(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            acks="all",
            compression_type="lz4",
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            max_request_size=4 * 1024 * 1024,
            request_timeout_ms=_ACKNOWLEDGE_SECONDS * 1000,
            retry_backoff_ms=20,
            metadata_max_age_ms=15_000,
        )

    async def stop(self) -> None:
        await asyncio.gather(stop_client(self.good), stop_client(self.aside))


class Relay:
    """Relays a service's outbox while this instance leads; stands by otherwise. Run it as one task."""

    def __init__(self, service: str, database: Database, outbox: Outbox, bootstrap_servers: str) -> None:
        self._service = service
        self._database = database
        self._outbox = outbox
        self._bootstrap_servers = bootstrap_servers

    async def run(self, stopping: asyncio.Event) -> None:
        """Leads whenever it can, until `stopping` is set; what is already in the outbox is sent before it ends."""
        while not stopping.is_set():
            try:
                await self._stand(stopping)
            except (LeadershipLost, KafkaError) as error:
                log.warning("relay_interrupted", error=repr(error))
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("relay_interrupted", error=repr(error))
            if not stopping.is_set():
                await asyncio.sleep(0.2)

    async def _stand(self, stopping: asyncio.Event) -> None:
        connection = await self._database.connect()
        try:
            await connection.execute(_PREPARE_SESSION)
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LEADER_LOCK):
                if await _wait(stopping, _IDLE_WAIT):
                    return
            if not await self._database.is_verified(connection):
                return
            await self._lead(connection, stopping)
        finally:
            metrics.LEADING.labels(self._service).set(0)
            self._outbox.relayed_here = False
            connection.terminate()

    async def _lead(self, connection: "asyncpg.Connection[asyncpg.Record]", stopping: asyncio.Event) -> None:
        producers = _Producers(self._bootstrap_servers)
        await producers.start()
        try:
            await connection.add_listener(CHANNEL, lambda *_: self._outbox.appended.set())
            self._outbox.relayed_here = True
            metrics.LEADING.labels(self._service).set(1)
            log.info("relay_leading")
            await _Leadership(self._service, connection, producers, self._outbox.appended).run(stopping)
        finally:
            await producers.stop()


class _Leadership:
    """One term of leadership: everything here is read and moved on the session that holds the lock."""

    def __init__(
        self,
        service: str,
        connection: "asyncpg.Connection[asyncpg.Record]",
        producers: _Producers,
        wake: asyncio.Event,
    ) -> None:
        self._service = service
        self._connection = connection
        self._producers = producers
        self._wake = wake
        self._lanes: dict[Lane, _LaneState] = {}
        self._active: dict[Lane, _LaneState] = {}
        """The lanes that send or are behind: a round costs what they cost, however many lanes there are."""
        self._cursor = 0
        self._room_until = 0

    async def run(self, stopping: asyncio.Event) -> None:
        self._cursor = await self._connection.fetchval(_LAST_ID)
        await self._make_room()
        await self._load_lanes()
        try:
            while True:
                last_round = stopping.is_set()
                self._wake.clear()
                found = await self._start_new() + await self._start_behind()
                await self._await_good_lanes()
                await self._settle()
                if last_round and not found and all(state.set_aside for state in self._active.values()):
                    return
                if not found:
                    await self._sleep(stopping)
        finally:
            for state in self._active.values():
                if state.sending is not None:
                    state.sending.cancel()

    async def _make_room(self) -> None:
        """Has the journal's next partition made long before an append needs it."""
        await self._connection.execute(_MAKE_ROOM, self._cursor)
        self._room_until = self._cursor + _LOOK_FOR_ROOM_EVERY

    async def _load_lanes(self) -> None:
        rows = await self._connection.fetch(_LANES)
        await self._insert_lanes([(row["topic"], row["partition"]) for row in rows if row["is_new"]])
        for row in rows:
            lane = (row["topic"], row["partition"])
            self._lanes[lane] = _LaneState(lane, row["position"], row["kafka_offset"], behind=row["is_behind"])
            if row["is_behind"]:
                self._active[lane] = self._lanes[lane]

    async def _insert_lanes(self, lanes: list[Lane]) -> None:
        if lanes:
            await self._connection.execute(_NEW_LANES, [topic for topic, _ in lanes], [number for _, number in lanes])

    async def _start_new(self) -> int:
        """Reads what was appended since the cursor and starts sending it; busy lanes come back for it later."""
        rows = await self._connection.fetch(_AFTER, self._cursor, _READ_ROWS)
        if not rows:
            return 0
        by_lane: dict[Lane, list[asyncpg.Record]] = {}
        for row in rows:
            by_lane.setdefault((row["topic"], row["partition"]), []).append(row)
        new = [lane for lane in by_lane if lane not in self._lanes]
        await self._insert_lanes(new)
        self._lanes.update({lane: _LaneState(lane) for lane in new})
        self._cursor = rows[-1]["id"]
        if self._cursor >= self._room_until:
            await self._make_room()
        for lane, lane_rows in by_lane.items():
            self._offer(self._lanes[lane], lane_rows)
        return len(rows)

    def _offer(self, state: _LaneState, rows: list[asyncpg.Record]) -> None:
        if state.sending is not None or state.behind:
            state.behind = True
            return
        unsent = [row for row in rows if row["id"] > state.position]
        if unsent:
            self._send(state, unsent)

    async def _start_behind(self) -> int:
        found = 0
        now = time.monotonic()
        due = [s for s in self._active.values() if s.behind and s.sending is None and s.retry_at <= now]
        for state in due:
            rows = await self._connection.fetch(_LANE_AFTER, *state.lane, state.position, _READ_ROWS)
            state.behind = len(rows) == _READ_ROWS
            if rows:
                self._send(state, rows)
                found += 0 if state.set_aside else len(rows)
        return found

    def _send(self, state: _LaneState, rows: list[asyncpg.Record]) -> None:
        producer = self._producers.aside if state.set_aside else self._producers.good
        self._active[state.lane] = state
        state.sending = asyncio.create_task(_send_batch(producer, state.lane, rows))
        state.sending.add_done_callback(lambda _: self._wake.set())

    def _good_lanes_sending(self) -> "list[asyncio.Task[_Sent]]":
        return [s.sending for s in self._active.values() if s.sending is not None and not s.set_aside]

    async def _await_good_lanes(self) -> None:
        """Waits a moment for the lanes just started, so that one UPDATE moves them all; never for a stuck one."""
        sending = self._good_lanes_sending()
        if sending:
            await asyncio.wait(sending, timeout=_GOOD_LANES_WAIT)

    async def _settle(self) -> None:
        """Moves the positions of acknowledged lanes, and sets aside those that failed."""
        moved: list[tuple[_LaneState, _Sent]] = []
        for state in self._active.values():
            if state.sending is None or not state.sending.done():
                continue
            task, state.sending = state.sending, None
            error = task.exception()
            if error is None:
                moved.append((state, task.result()))
            elif isinstance(error, KafkaError | OSError):
                self._set_aside(state, error)
            else:
                raise error
        if moved:
            await self._move(moved)
        self._active = {lane: s for lane, s in self._active.items() if s.sending is not None or s.behind}
        metrics.SET_ASIDE.labels(self._service).set(sum(s.set_aside for s in self._active.values()))

    def _set_aside(self, state: _LaneState, error: BaseException) -> None:
        state.pause = min(max(state.pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        state.retry_at = time.monotonic() + state.pause
        state.behind = True
        log.error("relay_partition_set_aside", topic=state.lane[0], partition=state.lane[1], error=repr(error))

    async def _move(self, moved: list[tuple[_LaneState, _Sent]]) -> None:
        changes = [(state, state.position, *_after(state, sent)) for state, sent in moved]
        status = await self._connection.execute(
            _MOVE,
            [state.lane[0] for state, *_ in changes],
            [state.lane[1] for state, *_ in changes],
            [old for _, old, *_ in changes],
            [position for _, _, position, _ in changes],
            [kafka_offset for *_, kafka_offset in changes],
        )
        if int(status.rpartition(" ")[2]) != len(changes):
            raise LeadershipLost("another instance moved a relay position")
        for (state, sent), (_, _, position, kafka_offset) in zip(moved, changes, strict=True):
            state.behind = state.behind or not sent.whole or position < sent.position
            state.position, state.kafka_offset, state.pause = position, kafka_offset, 0.0
            metrics.RELAYED.labels(self._service).inc(sent.count)

    async def _sleep(self, stopping: asyncio.Event) -> None:
        retries = [s.retry_at for s in self._active.values() if s.behind and s.sending is None]
        timeout = min([_IDLE_WAIT, *(max(at - time.monotonic(), 0.0) for at in retries)])
        await _wait(self._wake, 0.05 if stopping.is_set() else timeout)


def _after(state: _LaneState, sent: _Sent) -> tuple[int, int]:
    """The lane's new position and offset; back to the start of the journal when the log got shorter."""
    if sent.first_offset > state.kafka_offset:
        return sent.position, sent.kafka_offset
    log.error("relay_log_made_anew", topic=state.lane[0], partition=state.lane[1], acknowledged=state.kafka_offset)
    return 0, -1


async def _send_batch(producer: AIOKafkaProducer, lane: Lane, rows: list[asyncpg.Record]) -> _Sent:
    """Sends the first of `rows` that fit into one batch.

    The producer itself gives up after its request timeout, with a KafkaError. Raises LeadershipLost for one that does
    not.
    """
    topic, partition = lane
    batch = producer.create_batch()
    count = 0
    for row in rows:
        headers = [*headers_from_text(row["headers"]), ("ce_sequence", str(row["id"]).encode())]
        if batch.append(timestamp=None, key=row["key"], value=row["value"], headers=headers) is None:
            break
        count += 1
    batch.close()
    try:
        async with asyncio.timeout(_STUCK_SECONDS):
            acknowledged = await (await producer.send_batch(batch, topic, partition=partition))
    except TimeoutError as error:
        raise LeadershipLost(f"the producer gives no answer for {topic}/{partition}") from error
    return _Sent(rows[count - 1]["id"], acknowledged.offset, whole=count == len(rows), count=count)


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within `seconds`."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
