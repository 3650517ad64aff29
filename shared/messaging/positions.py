"""Inbox positions: how far each consumer has come in each partition, in the consumer's own database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from shared.contracts.topics import INTERNAL_PARTITIONS
from shared.database.pool import Connection

Partition = tuple[str, int]

_REGISTER = """
INSERT INTO inbox_positions (consumer, topic, partition, next_offset)
SELECT $1, topic, partition, start FROM unnest($2::text[], $3::int[], $4::bigint[]) AS new (topic, partition, start)
ON CONFLICT DO NOTHING
"""
_SELECT = """
SELECT topic, partition, next_offset, last_sequence FROM inbox_positions
WHERE consumer = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::int[]))
ORDER BY topic, partition
"""
_HAS_HELD = "SELECT EXISTS (SELECT FROM unhandled_records WHERE consumer = $1 AND state <> 'dead')"
_LOCK_KEYS = "SELECT pg_advisory_xact_lock($1, key_group) FROM unnest($2::int[]) AS key_group"
_MOVE = """
UPDATE inbox_positions SET next_offset = moved.next_offset, last_sequence = moved.last_sequence
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) AS moved (topic, partition, next_offset, last_sequence)
WHERE consumer = $1 AND inbox_positions.topic = moved.topic AND inbox_positions.partition = moved.partition
"""


class Position(NamedTuple):
    """`next_offset` is the first offset not yet handled, `last_sequence` the writer's last sequence handled."""

    next_offset: int
    last_sequence: int


async def register(connection: Connection, consumer: str, log_starts: Mapping[Partition, int]) -> dict[Partition, int]:
    """The next offset of each partition; one never read begins at its log start."""
    partitions = sorted(log_starts)
    topics, numbers = _columns(partitions)
    await connection.execute(_REGISTER, consumer, topics, numbers, [log_starts[p] for p in partitions])
    rows = await connection.fetch(_SELECT, consumer, topics, numbers)
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def lock(
    connection: Connection, consumer: str, partitions: Sequence[Partition]
) -> tuple[dict[Partition, Position], bool]:
    """Locks the rows, sorted, and tells whether the consumer has held records."""
    rows = await connection.fetch(_SELECT + " FOR UPDATE", consumer, *_columns(sorted(partitions)))
    found = {(row["topic"], row["partition"]): Position(row["next_offset"], row["last_sequence"]) for row in rows}
    return found, bool(await connection.fetchval(_HAS_HELD, consumer))


async def lock_keys(connection: Connection, consumer: str, keys: Iterable[bytes | None]) -> None:
    """Holds the groups of these keys until the transaction ends; a group is an internal topic's partition."""
    groups = sorted({crc32(key or b"") % INTERNAL_PARTITIONS for key in keys})
    await connection.execute(_LOCK_KEYS, crc32(consumer.encode()) & 0x7FFFFFFF, groups)


async def move(connection: Connection, consumer: str, moved: Mapping[Partition, Position]) -> None:
    """Stores new positions; the rows must be locked."""
    await connection.execute(
        _MOVE,
        consumer,
        *_columns(list(moved)),
        [position.next_offset for position in moved.values()],
        [position.last_sequence for position in moved.values()],
    )


def _columns(partitions: Sequence[Partition]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in partitions], [number for _, number in partitions]
