"""Records that were not handled: rows of the consumer's database, committed with its position.

A *dead* record could not be read; it stays for a person. A *held* record was read but its handler failed three
times; *waiting* records stand in line behind a held one: those of the same key, and outside of the same topic too.
Held records are tried again with a growing pause, each with its line behind it, and by an operator's replay: always
the handler on the rows, never a record produced to its source topic. Whoever adds to a line or works on it holds the
line's advisory lock, so that nobody overtakes.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum

import asyncpg

from shared.contracts.topics import dead_letters
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, Record
from shared.messaging.outbox import headers_from_text, headers_to_text

_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)

_INSERT = """
INSERT INTO unhandled_records (consumer, state, topic, partition, kafka_offset, key, headers, value, reason, line,
                               retry_at)
SELECT $1, state, topic, partition, kafka_offset, key, headers, value, reason, line,
       CASE state WHEN 'held' THEN now() + $11::interval END
FROM unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::bytea[], $7::text[], $8::bytea[], $9::text[],
            $10::bytea[])
     AS row (state, topic, partition, kafka_offset, key, headers, value, reason, line)
"""
_LOCK_LINES = """
SELECT pg_advisory_xact_lock(hashtextextended($1 || encode(line, 'hex'), 0)) FROM unnest($2::bytea[]) AS line
"""
_TRY_LINE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || encode($2::bytea, 'hex'), 0))"
_STANDING = "SELECT DISTINCT line FROM unhandled_records WHERE consumer = $1 AND state <> 'dead' AND line = ANY($2)"
_HELD = "SELECT count(*) FROM unhandled_records WHERE consumer = $1 AND state <> 'dead'"
_DUE = """
SELECT line FROM unhandled_records
WHERE consumer = $1 AND state = 'held' AND (retry_at <= now() OR $2) ORDER BY retry_at LIMIT $3
"""
_LINE = """
SELECT id, topic, partition, kafka_offset, key, headers, value, attempts FROM unhandled_records
WHERE consumer = $1 AND line = $2 AND state <> 'dead' ORDER BY id
"""
_DELETE = "DELETE FROM unhandled_records WHERE id = ANY($1::bigint[])"
_POSTPONE = """
UPDATE unhandled_records SET state = 'held', attempts = attempts + 1, reason = $2, retry_at = now() + $3::interval
WHERE id = $1
"""


class State(StrEnum):
    """Why a record was not handled."""

    DEAD = "dead"
    HELD = "held"
    WAITING = "waiting"


Unhandled = tuple[State, Record, str, bytes]
"""A record, why it was not handled, what was wrong, and the line it stands in."""


async def store(connection: Connection, consumer: str, unhandled: Sequence[Unhandled]) -> None:
    """Writes the rows of records not handled, in the transaction that moves the position past them."""
    if not unhandled:
        return
    await connection.execute(
        _INSERT,
        consumer,
        [state.value for state, _, _, _ in unhandled],
        [record.topic for _, record, _, _ in unhandled],
        [record.partition for _, record, _, _ in unhandled],
        [record.offset for _, record, _, _ in unhandled],
        [record.key for _, record, _, _ in unhandled],
        [headers_to_text(record.headers) for _, record, _, _ in unhandled],
        [record.value for _, record, _, _ in unhandled],
        [reason[:2000] for _, _, reason, _ in unhandled],
        [line for _, _, _, line in unhandled],
        _FIRST_PAUSE,
    )


async def number_held(connection: Connection, consumer: str) -> int:
    """How many records are held or waiting."""
    return int(await connection.fetchval(_HELD, consumer))


async def standing_lines(connection: Connection, consumer: str, lines: Iterable[bytes]) -> set[bytes]:
    """Which of these lines have records standing in them; they stay so until the transaction ends."""
    wanted = sorted(set(lines))
    await connection.execute(_LOCK_LINES, consumer, wanted)
    return {row["line"] for row in await connection.fetch(_STANDING, consumer, wanted)}


async def due_lines(connection: Connection, consumer: str, *, at_once: bool, limit: int) -> list[bytes]:
    """The lines whose first record is due (`at_once`: all), the longest due first."""
    return [row["line"] for row in await connection.fetch(_DUE, consumer, at_once, limit)]


async def take_line(connection: Connection, consumer: str, line: bytes) -> list[tuple[int, int, Record]]:
    """The (row id, attempts, record) in a line, in order; empty while another instance works on it."""
    if not await connection.fetchval(_TRY_LINE, consumer, line):
        return []
    rows = await connection.fetch(_LINE, consumer, line)
    return [(row["id"], row["attempts"], _record(row)) for row in rows]


async def settle(connection: Connection, handled: Sequence[int], failed: tuple[int, int, str] | None) -> None:
    """Deletes handled rows and postpones the failed one: (row id, attempts so far, reason)."""
    await connection.execute(_DELETE, handled)
    if failed is not None:
        row_id, attempts, reason = failed
        pause = min(_FIRST_PAUSE * 2 ** min(attempts, 10), _LONGEST_PAUSE)
        await connection.execute(_POSTPONE, row_id, reason[:2000], pause)


def copy_of(service: str, record: Record, reason: str) -> Outgoing:
    """The copy of a dead record for the service's `.dlq` topic, with its origin in headers."""
    origin = (
        ("dlq_origin_topic", record.topic.encode()),
        ("dlq_origin_partition", str(record.partition).encode()),
        ("dlq_origin_offset", str(record.offset).encode()),
        ("dlq_reason", reason[:1000].encode()),
    )
    return Outgoing(
        topic=dead_letters(service).name,
        partition=0,
        key=record.key or b"",
        headers=(*record.headers, *origin),
        value=record.value or b"",
    )


def _record(row: asyncpg.Record) -> Record:
    return Record(
        row["topic"], row["partition"], row["kafka_offset"], row["key"], headers_from_text(row["headers"]), row["value"]
    )
