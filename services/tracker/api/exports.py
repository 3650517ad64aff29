"""Exports of what a filter selects: CSV as a stream, Parquet in row groups from a temporary file."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

from services.tracker.domain.listing import Filter
from services.tracker.store.queries import LISTED, Row, TrackerQueries
from shared.runtime.clock import Clock

_CHUNK = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = frozenset(name for name in LISTED if name.endswith(("_at", "_by", "since")))


def _type_of(name: str) -> DataType:
    if name in _TIMES:
        return DataType.timestamp("us", tz="UTC")
    return DataType.int32() if name == "hops" else DataType.string()


class Exports:
    """Writes exports; at most `at_once` run, since each holds a connection, the others wait their turn."""

    def __init__(self, queries: TrackerQueries, clock: Clock, at_once: int = 2) -> None:
        self._queries = queries
        self._clock = clock
        self._turn = asyncio.Semaphore(at_once)

    async def csv(self, wanted: Filter) -> AsyncIterator[bytes]:
        """RFC 4180 with a header line, in UTF-8; times are ISO 8601 in UTC. No cell holds free text."""
        yield _lines([LISTED])
        async with self._turn:
            async for rows in self._queries.everything(wanted, self._clock.now()):
                yield _lines([_text(value) for value in row] for row in rows)

    async def parquet(self, wanted: Filter) -> AsyncIterator[bytes]:
        """One Parquet file (zstd), made from Arrow columns that are all in memory meanwhile."""
        schema = Schema([Field(name, _type_of(name)) for name in LISTED])
        async with self._turn:
            batches = [
                await asyncio.to_thread(_batch, rows, schema)
                async for rows in self._queries.everything(wanted, self._clock.now(), portion=20_000)
            ]
            with tempfile.TemporaryFile() as file:
                reader = RecordBatchReader.from_batches(schema, batches)
                await asyncio.to_thread(write_parquet, reader, file, compression="zstd(3)")
                file.seek(0)
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    yield chunk


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _batch(rows: Sequence[Row], schema: Schema) -> RecordBatch:
    arrays = []
    for name in LISTED:
        values: list[Any] = [row[name] for row in rows]
        if name in _TIMES:
            values = [None if v is None else (v - _EPOCH).total_seconds() for v in values]
            whole = Array([None if v is None else round(v * 1_000_000) for v in values], DataType.int64())
            arrays.append(whole.cast(DataType.timestamp("us", tz="UTC")))
        elif name == "complaint_id":
            arrays.append(Array([str(value) for value in values], DataType.string()))
        else:
            arrays.append(Array(values, _type_of(name)))
    return RecordBatch.from_arrays(arrays, schema=schema)
