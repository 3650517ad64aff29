"""Live updates: the versions of cases as they are projected, as server-sent events that can be resumed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from services.tracker.api.access import Authorization, reader_of
from services.tracker.domain.access import Reader, Tokens
from services.tracker.store.queries import Row, TrackerQueries
from shared.runtime.problems import Problem

Place = tuple[str, int]
"""Transaction and id of a live change; together its event id, `transaction-id`."""

_LOOK_EVERY_SECONDS = 0.3
_SILENT_LOOKS = 50
_AT_ONCE = 500


def make_live_router(queries: TrackerQueries, tokens: Tokens) -> APIRouter:
    """`GET /v1/live` (text/event-stream): `changed` events, or `reset` when what followed Last-Event-ID is gone."""
    router = APIRouter()

    @router.get("/v1/live")
    async def live(
        last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=60)] = None,
        authorization: Authorization = "",
    ) -> StreamingResponse:
        """Every change after Last-Event-ID, each once and in order; without it, those from now on."""
        reader = reader_of(tokens, authorization)
        place = None if last_event_id is None else _parse(last_event_id)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_events(queries, reader, place), headers=headers, media_type="text/event-stream")

    return router


async def _events(queries: TrackerQueries, reader: Reader, resumed: Place | None) -> AsyncIterator[bytes]:
    place = resumed
    first = await queries.first_change()
    if place is None or (first is not None and _order(place) < _order(first)):
        newest = await queries.last_change()
        if place is not None:
            yield _event("reset", newest, b"{}")
        place = newest
    yield b": ready\n\n"
    silent = 0
    while True:
        rows = await queries.changes_after(place, _AT_ONCE)
        for row in rows:
            place = (row["transaction"], row["id"])
            if reader.administration in (None, row["administration"]):
                yield _event("changed", place, _data(row))
        silent = 0 if rows else silent + 1
        if silent == _SILENT_LOOKS:
            silent = 0
            yield b": still here\n\n"
        if len(rows) < _AT_ONCE:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _event(name: str, place: Place, data: bytes) -> bytes:
    return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (place[0].encode(), place[1], name.encode(), data)


def _data(row: Row) -> bytes:
    shown = ("complaint_id", "reference", "version", "change", "status", "administration", "happened_at")
    return orjson.dumps({name: row[name] for name in shown}, default=str)


def _order(place: Place) -> tuple[int, int]:
    return int(place[0]), place[1]


def _parse(text: str) -> Place:
    transaction, dash, number = text.partition("-")
    if not (dash and transaction.isascii() and transaction.isdigit() and number.isascii() and number.isdigit()):
        raise Problem(400, "invalid-request", [("Last-Event-ID", "invalid", {})])
    return transaction, int(number)
