"""The inbox: records to database rows, each once in effect. One call commits one batch; no Kafka in here.

Why a record is neither lost nor handled twice:

* One row per (consumer, topic, partition) holds `next_offset` and `last_sequence`. A batch is one transaction:
  lock the rows, drop records below `next_offset` (done already, also by another instance: a zombie is harmless),
  drop sequences up to `last_sequence` (a run sent again), handle, move the rows, append events, commit.
* Records of one key in different topics may be in the hands of two instances: each transaction holds the lock of
  the key groups it touches, so that the second sees what the first did.
* After the database went back in time an input is read again although its events were restored from Kafka. Either
  its output is found in the journal by its id, and it is skipped (`proof`); or the handler recognises it by itself.
* When a row is behind what the caller expects, the database went back: nothing is done, the caller reads again.

A record has four outcomes: handled; dead (unreadable); held (its handler failed three times: the batch is run one
by one under savepoints, and later records stand in line behind it); or the process ends, on an error outside a
record. From outside, an unreadable record is refused back to its sender instead of being kept here.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import structlog

from shared.contracts.envelope import AnyEvent, EventData, derived_id
from shared.database.pool import Connection, is_transient
from shared.messaging import dead_letters, metrics, positions
from shared.messaging.codec import InvalidRecord, Outgoing, Record, decode, decode_external, sequence_of
from shared.messaging.dead_letters import State, Unhandled
from shared.messaging.outbox import Outbox, known_events
from shared.messaging.positions import Partition, Position

log = structlog.get_logger(__name__)

Handler = Callable[[Connection, Sequence[AnyEvent]], Awaitable[Sequence[Outgoing]]]
"""Handles events in order, in a transaction it may use but not end, and returns the records that follow.

It may be called again with the same events after a rollback. It raises for an event it cannot handle, and the
database's own transient error where trying again will do.
"""

Refuse = Callable[[Record, str], Outgoing]
"""Tells the sender outside why its record was refused."""

Batch = Mapping[Partition, Sequence[Record]]
_Decoded = tuple[Record, AnyEvent]
_Handled = tuple[list[Outgoing], list[Unhandled]]

_ATTEMPTS = 3
_UNREADABLE_SAMPLE = 100
_LINES_AT_ONCE = 100


class PositionWentBack(Exception):
    """The stored position is behind what was handled: the database was restored. Read again from the row."""


class TooManyUnreadable(Exception):
    """More than half of 100 or more records of an internal topic were unreadable: its writer is broken."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(f"most records of {partition[0]}/{partition[1]} are unreadable: fix its writer, then restart")
        self.partition = partition


class _HandlerFailed(Exception):
    pass


class Inbox:
    """One consumer of a service.

    `refuse` is given for topics written from outside, which carry no sequences. `proof` names the steps of the
    handler's outputs: an input is skipped when the journal knows one of them. Without it the handler itself
    recognises inputs it handled before a restore, or has no outputs.
    """

    def __init__(
        self,
        service: str,
        consumer: str,
        outbox: Outbox,
        handler: Handler,
        events: tuple[type[EventData], ...],
        *,
        proof: Sequence[str] = (),
        refuse: Refuse | None = None,
    ) -> None:
        self.consumer = consumer
        self._service = service
        self._outbox = outbox
        self._handler = handler
        self._events = events
        self._proof = proof
        self._refuse = refuse
        self._seen: dict[Partition, tuple[int, int]] = {}

    async def register(self, log_starts: Mapping[Partition, int]) -> dict[Partition, int]:
        """The next offset of each partition; one never read begins at its log start."""

        async def unit(connection: Connection) -> tuple[dict[Partition, int], list[Outgoing]]:
            return await positions.register(connection, self.consumer, log_starts), []

        return await self._outbox.commit(unit)

    async def commit(
        self, batch: Batch, expected: Mapping[Partition, int], ends: Mapping[Partition, int] | None = None
    ) -> dict[Partition, int]:
        """Handles a batch in one transaction and returns the new next offsets.

        `expected` are the next offsets this process knows; `ends`, where known, those after the batch and the
        markers that follow it. Raises PositionWentBack, TooManyUnreadable, and
        errors outside a record.
        """
        with metrics.BATCH_SECONDS.labels(self.consumer).time():
            for attempt in range(_ATTEMPTS):
                try:
                    return await self._outbox.commit(
                        partial(self._unit, batch, expected, ends or {}, self._handle_together)
                    )
                except _HandlerFailed as failure:
                    log.warning("batch_failed", consumer=self.consumer, attempt=attempt, error=repr(failure.__cause__))
            return await self._outbox.commit(partial(self._unit, batch, expected, ends or {}, self._handle_singly))

    async def skip_to(self, moved: Mapping[Partition, int], expected: Mapping[Partition, int]) -> None:
        """Moves positions past what holds no records: markers of transactions."""

        async def unit(connection: Connection) -> tuple[None, list[Outgoing]]:
            rows, _ = await positions.lock(connection, self.consumer, list(moved))
            still = {p: at for p, at in moved.items() if rows[p].next_offset == expected[p]}
            ends = {p: Position(at, rows[p].last_sequence) for p, at in still.items()}
            await positions.move(connection, self.consumer, ends)
            return None, []

        await self._outbox.commit(unit)

    async def retry_held(self, *, at_once: bool = False, seconds: float = 1.0) -> int:
        """Runs the handler on held records that are due (`at_once`: on all), each with the line behind it.

        Stops after `seconds`; how many records passed.
        """

        async def look(connection: Connection) -> tuple[tuple[list[bytes], int], list[Outgoing]]:
            held = await dead_letters.number_held(connection, self.consumer)
            limit = held if at_once else _LINES_AT_ONCE
            lines = await dead_letters.due_lines(connection, self.consumer, at_once=at_once, limit=limit)
            return (lines, held), []

        lines, held = await self._outbox.commit(look)
        metrics.HELD.labels(self.consumer).set(held)
        passed = 0
        give_up_at = time.monotonic() + seconds
        for line in lines:
            passed += await self._outbox.commit(partial(self._retry_line, line))
            if time.monotonic() > give_up_at:
                break
        return passed

    async def _unit(
        self,
        batch: Batch,
        expected: Mapping[Partition, int],
        ends: Mapping[Partition, int],
        handle: Callable[[Connection, Sequence[_Decoded]], Awaitable[_Handled]],
        connection: Connection,
    ) -> tuple[dict[Partition, int], list[Outgoing]]:
        rows, has_held = await positions.lock(connection, self.consumer, list(batch))
        if any(rows[partition].next_offset < expected[partition] for partition in batch):
            raise PositionWentBack(f"{self.consumer}: a stored position is behind what was handled")
        decoded, unreadable, moved = self._read(batch, rows, ends)
        if decoded and self._refuse is None:
            await positions.lock_keys(connection, self.consumer, [record.key for record, _ in decoded])
        fresh = await self._not_handled(connection, decoded)
        waiting: list[Unhandled] = []
        if has_held and fresh:
            fresh, waiting = await self._stand_in_line(connection, fresh)
        outgoing, held = await handle(connection, fresh) if fresh else ([], [])
        outgoing += await self._put_away(connection, unreadable, [*waiting, *held])
        await positions.move(connection, self.consumer, moved)
        metrics.RECORDS.labels(self.consumer, "handled").inc(len(fresh) - len(held))
        return {partition: position.next_offset for partition, position in moved.items()}, outgoing

    async def _not_handled(self, connection: Connection, decoded: Sequence[_Decoded]) -> list[_Decoded]:
        """Each event once, without those whose output the journal knows."""
        first: dict[UUID, _Decoded] = {}
        for record, event in decoded:
            first.setdefault(event.id, (record, event))
        if not self._proof or not first:
            return list(first.values())
        outputs = {derived_id(event_id, step): event_id for event_id in first for step in self._proof}
        handled = {outputs[output] for output in await known_events(connection, outputs)}
        return [item for event_id, item in first.items() if event_id not in handled]

    def _line(self, record: Record) -> bytes:
        """Where a record waits: by key inside; outside senders never wait for each other."""
        key = record.key if record.key is not None else str(record.offset).encode()
        return key if self._refuse is None else f"{record.topic}/{record.partition}/".encode() + key

    def _read(
        self, batch: Batch, rows: Mapping[Partition, Position], ends: Mapping[Partition, int]
    ) -> tuple[list[_Decoded], list[tuple[Record, str]], dict[Partition, Position]]:
        """Splits the new records into events and unreadable ones, and tells the positions after them."""
        decoded: list[_Decoded] = []
        unreadable: list[tuple[Record, str]] = []
        moved = {}
        for partition, records in batch.items():
            next_offset, last_sequence = rows[partition]
            before = len(unreadable)
            for record in records:
                if record.offset < next_offset:
                    continue
                next_offset = record.offset + 1
                try:
                    if self._refuse is not None:
                        decoded.append((record, decode_external(record, self._events)))
                        continue
                    sequence = sequence_of(record)
                    if sequence > last_sequence:
                        last_sequence = sequence
                        decoded.append((record, decode(record, self._events)))
                except InvalidRecord as error:
                    unreadable.append((record, str(error)))
            self._watch_unreadable(partition, len(records), len(unreadable) - before)
            moved[partition] = Position(max(next_offset, ends.get(partition, 0)), last_sequence)
        return decoded, unreadable, moved

    def _watch_unreadable(self, partition: Partition, read: int, unreadable: int) -> None:
        if self._refuse is not None:
            return
        seen, bad = self._seen.get(partition, (0, 0))
        if seen >= 2 * _UNREADABLE_SAMPLE:
            seen, bad = seen // 2, bad // 2
        self._seen[partition] = seen + read, bad + unreadable
        if seen + read >= _UNREADABLE_SAMPLE and 2 * (bad + unreadable) > seen + read:
            raise TooManyUnreadable(partition)

    async def _stand_in_line(
        self, connection: Connection, fresh: Sequence[_Decoded]
    ) -> tuple[list[_Decoded], list[Unhandled]]:
        standing = await dead_letters.standing_lines(connection, self.consumer, [self._line(r) for r, _ in fresh])
        waiting: list[Unhandled] = [self._waiting(record) for record, _ in fresh if self._line(record) in standing]
        return [(record, event) for record, event in fresh if self._line(record) not in standing], waiting

    def _waiting(self, record: Record) -> Unhandled:
        return State.WAITING, record, "behind a held record", self._line(record)

    async def _handle_together(self, connection: Connection, fresh: Sequence[_Decoded]) -> _Handled:
        try:
            return list(await self._handler(connection, [event for _, event in fresh])), []
        except Exception as error:
            if is_transient(error):
                raise
            raise _HandlerFailed from error

    async def _handle_singly(self, connection: Connection, fresh: Sequence[_Decoded]) -> _Handled:
        outgoing: list[Outgoing] = []
        unhandled: list[Unhandled] = []
        held: set[bytes] = set()
        for record, event in fresh:
            line = self._line(record)
            if line in held:
                unhandled.append(self._waiting(record))
                continue
            failure = await self._handle_one(connection, event, outgoing)
            if failure is not None:
                log.error("record_held", consumer=self.consumer, origin=record.origin, error=failure)
                held.add(line)
                unhandled.append((State.HELD, record, failure, line))
        return outgoing, unhandled

    async def _handle_one(self, connection: Connection, event: AnyEvent, outgoing: list[Outgoing]) -> str | None:
        """Handles one event under a savepoint, adding to `outgoing`; the error's text when it failed."""
        try:
            async with connection.transaction():
                outgoing.extend(await self._handler(connection, [event]))
        except Exception as error:
            if is_transient(error):
                raise
            return repr(error)
        return None

    async def _put_away(
        self, connection: Connection, unreadable: Sequence[tuple[Record, str]], unhandled: Sequence[Unhandled]
    ) -> list[Outgoing]:
        """Stores what was not handled; returns the copies for the dead letter topic, or the refusals to outside."""
        refuse = self._refuse
        for state in [state for state, *_ in unhandled] + [State.DEAD for _ in unreadable]:
            metrics.RECORDS.labels(self.consumer, state.value).inc()
        if refuse is not None:
            await dead_letters.store(connection, self.consumer, unhandled)
            return [refuse(record, reason) for record, reason in unreadable]
        dead: list[Unhandled] = [(State.DEAD, record, reason, b"") for record, reason in unreadable]
        await dead_letters.store(connection, self.consumer, [*dead, *unhandled])
        return [dead_letters.copy_of(self._service, record, reason) for record, reason in unreadable]

    async def _retry_line(self, line: bytes, connection: Connection) -> tuple[int, list[Outgoing]]:
        rows = await dead_letters.take_line(connection, self.consumer, line)
        read = decode_external if self._refuse is not None else decode
        handled: list[int] = []
        outgoing: list[Outgoing] = []
        failed: tuple[int, int, str] | None = None
        for row_id, attempts, record in rows:
            fresh = await self._not_handled(connection, [(record, read(record, self._events))])
            failure = await self._handle_one(connection, fresh[0][1], outgoing) if fresh else None
            if failure is not None:
                failed = (row_id, attempts, failure)
                break
            handled.append(row_id)
        if rows:
            await dead_letters.settle(connection, handled, failed)
            log.info("held_records_retried", consumer=self.consumer, handled=len(handled), failed=failed is not None)
        return len(handled), outgoing
