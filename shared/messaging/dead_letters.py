"""Records that were not handled: rows of the consumer's database, committed with its position.

A *dead* record could not be read; it stays for a person. A *held* record was read but its handler failed three
times; *waiting* records have the key of a held one and keep their place behind it. Held records are tried again
with a growing pause, in order per key, and by an operator's replay: always the handler on the rows, never a
record produced to its source topic.
"""

from collections.abc import Sequence
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
INSERT INTO unhandled_records (consumer, state, topic, partition, kafka_offset, key, headers, value, reason, retry_at)
SELECT $1, state, topic, partition, kafka_offset, key, headers, value, reason,
       CASE WHEN state = 'dead' THEN NULL ELSE now() + $10::interval END
FROM unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::bytea[], $7::text[], $8::bytea[], $9::text[])
     AS row (state, topic, partition, kafka_offset, key, headers, value, reason)
"""
_HELD_KEYS = "SELECT DISTINCT key FROM unhandled_records WHERE consumer = $1 AND state <> 'dead' AND key = ANY($2)"
_DUE = """
SELECT id, topic, partition, kafka_offset, key, headers, value, attempts
FROM unhandled_records
WHERE consumer = $1 AND key = (
    SELECT key FROM unhandled_records
    WHERE consumer = $1 AND state <> 'dead' GROUP BY key
    HAVING (array_agg(retry_at ORDER BY id))[1] <= now() OR $2
    ORDER BY min(id) LIMIT 1 OFFSET $3
) AND state <> 'dead'
ORDER BY id FOR UPDATE SKIP LOCKED
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


Unhandled = tuple[State, Record, str]
"""A record, why it was not handled, and what was wrong."""


async def store(connection: Connection, consumer: str, unhandled: Sequence[Unhandled]) -> None:
    """Writes the rows of records not handled, in the transaction that moves the position past them."""
    if not unhandled:
        return
    await connection.execute(
        _INSERT,
        consumer,
        [state.value for state, _, _ in unhandled],
        [record.topic for _, record, _ in unhandled],
        [record.partition for _, record, _ in unhandled],
        [record.offset for _, record, _ in unhandled],
        [record.key for _, record, _ in unhandled],
        [headers_to_text(record.headers) for _, record, _ in unhandled],
        [record.value for _, record, _ in unhandled],
        [reason[:2000] for _, _, reason in unhandled],
        _FIRST_PAUSE,
    )


async def held_keys(connection: Connection, consumer: str, keys: Sequence[bytes]) -> set[bytes]:
    """Which of these keys have a held record before them."""
    return {row["key"] for row in await connection.fetch(_HELD_KEYS, consumer, keys)}


async def due(connection: Connection, consumer: str, *, skip: int, at_once: bool) -> list[tuple[int, int, Record]]:
    """The (row id, attempts, record) of one key that is due, in order, locked; empty when none is.

    `skip` passes over that many due keys; `at_once` takes them before their time.
    """
    rows = await connection.fetch(_DUE, consumer, at_once, skip)
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
