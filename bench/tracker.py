"""Latency of the tracker's queries at many complaints, as ratios to a bare primary-key read in the same run.

    python -m bench.tracker --complaints 200000

A PostgreSQL of its own is filled with generated complaints (none of it is kept), the API is served by uvicorn in a
process of its own, and each query is asked by 20 clients at once. `bare` is FastAPI with one primary-key SELECT
through the same pool. The clients share the machine's cores with server and database.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import uvicorn
from fastapi import Response

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from services.tracker.api.citizens import Desk, Limits, make_citizen_router
from services.tracker.api.exports import Exports
from services.tracker.api.operations import make_operations_router
from services.tracker.api.statistics import make_statistics_router
from services.tracker.domain.access import Tokens
from services.tracker.store.queries import TrackerQueries
from services.tracker.store.staff import StaffRecords
from shared.contracts.reference import AccessCodes
from shared.database.migrations import migrate
from shared.runtime.clock import SystemClock
from shared.runtime.http import Health, make_app
from shared.runtime.settings import HttpSettings
from shared.runtime.signatures import Signer
from shared.testing.read_model import FILLED_UNTIL, fill
from shared.testing.stores import trusted_database

CODES = AccessCodes({"k1": b"of a benchmark"}, "k1")
TOKEN = {"Authorization": "Bearer operations"}
CLIENTS = 20


class _Still(SystemClock):
    def now(self) -> Any:
        return FILLED_UNTIL


def serve(url: str, port: int) -> None:
    """Serves the tracker's API and the bare read."""
    asyncio.run(_serve(url, port))


async def _serve(url: str, port: int) -> None:
    database = await trusted_database(url)
    queries, records, clock = TrackerQueries(database), StaffRecords(database), _Still()
    tokens = Tokens("operations", None, {})
    desk = Desk(queries, records, CODES, clock, Limits(10**6, 10**6, frozenset()))
    routers = [
        make_operations_router(queries, records, Exports(queries, clock), tokens, clock),
        make_statistics_router(queries, tokens, clock),
        make_citizen_router(desk, clock, Signer({"bench": bytes(32)})),
    ]
    app = make_app("tracker", HttpSettings(), Health(ready=True), routers)

    @app.get("/bare/{complaint_id}")
    async def bare(complaint_id: UUID) -> Response:
        rows = await database.fetch("SELECT reference, status FROM complaints WHERE complaint_id = $1", complaint_id)
        return Response(rows[0]["reference"])

    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()


def requests(rows: Sequence[asyncpg.Record]) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """(path, headers) of each question."""
    random = Random(1)

    def lists(*conditions: str) -> list[tuple[str, dict[str, str]]]:
        return [(f"/v1/complaints?{condition}", TOKEN) for condition in conditions]

    citizens = [
        (f"/v1/complaints/{row['reference']}", {"Access-Code": CODES.code(row["complaint_id"], "k1", 1)})
        for row in rows
    ]
    return {
        "bare": [(f"/bare/{row['complaint_id']}", {}) for row in rows],
        "status": citizens,
        "wrong code": [(path, {"Access-Code": "0"}) for path, _ in citizens],
        "wrong reference": [("/v1/complaints/26001-0000-0000-81", {"Access-Code": "0"})],
        "newest": lists("limit=50"),
        "status list": lists("status=answered", "status=in_triage", "status=forwarded"),
        "administration": lists("administration=sante", "administration=education&status=answered"),
        "territory": lists(*(f"province={random.randrange(83):03d}" for _ in range(40))),
        "commune + nature": lists(
            *(f"commune={random.randrange(83):03d}{random.randrange(18):02d}&nature=delay" for _ in range(40))
        ),
        "overdue": lists("overdue=answer", "overdue=answer&administration=sante", "overdue=forward"),
        "hops": lists("hops=2", "hops=1"),
        "search common": lists("q=المستشفى", "q=electricite"),
        "search rare": lists(*(f"q=mot{random.randrange(2000, 20000)}" for _ in range(40))),
        "search two words": lists(*(f"q=eau mot{random.randrange(50, 2000)}" for _ in range(40))),
        "weekly": [("/v1/statistics?dimension=administration&value=sante", TOKEN)],
        "backlog": [("/v1/statistics/backlog?dimension=administration", TOKEN)],
        "durations": [("/v1/statistics/durations", TOKEN)],
        "league": [("/v1/statistics/league", TOKEN)],
        "public": [("/v1/public/statistics", {})],
        "conservation": [("/v1/conservation", TOKEN)],
    }


async def measured(port: int, questions: Sequence[tuple[str, dict[str, str]]], number: int) -> list[float]:
    """Milliseconds of each of `number` requests, CLIENTS at once, each on a connection that it keeps."""
    found: list[float] = []
    left = iter(range(number))
    asked = [_request(*question) for question in questions]

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for place in left:
            start = time.perf_counter()
            writer.write(asked[place % len(asked)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length))
            found.append((time.perf_counter() - start) * 1000)
            assert head.split(b" ", 2)[1] in (b"200", b"404"), head + body
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return sorted(found)


def _request(path: str, headers: dict[str, str]) -> bytes:
    # A client library costs more than the server does, and would hide what is measured.
    lines = [f"GET {quote(path, safe='/?&=%-')} HTTP/1.1", "Host: bench"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def measure(port: int, url: str, number: int) -> None:
    """Prints one line a question; `ratio` is requests a second against `bare`."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT complaint_id, reference FROM complaints TABLESAMPLE SYSTEM (1) LIMIT 500")
    await connection.close()
    bare = 1.0
    print(f"{'question':<18}{'p50 ms':>8}{'p99 ms':>8}{'req/s':>8}{'ratio':>8}")
    for name, questions in requests(rows).items():
        await measured(port, questions, number // 5)
        start = time.perf_counter()
        times = await measured(port, questions, number)
        rate = number / (time.perf_counter() - start)
        bare = rate if name == "bare" else bare
        p99 = times[int(len(times) * 0.99)]
        print(f"{name:<18}{statistics.median(times):>8.1f}{p99:>8.1f}{rate:>8.0f}{rate / bare:>8.2f}", flush=True)


def main() -> None:
    """Fills, serves, measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--complaints", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1_000)
    options = parser.parse_args()
    with EmbeddedPostgres() as postgres:
        url = postgres.create_database("tracker")
        migrate(url, "tracker")
        start = time.perf_counter()
        events = asyncio.run(fill(url, options.complaints))
        seconds = time.perf_counter() - start
        print(f"{options.complaints} complaints, {events} events made, folded, copied and indexed in {seconds:.0f} s")
        port = free_port()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(url, port), daemon=True)
        server.start()
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/v1/public/statistics").raise_for_status()
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        asyncio.run(measure(port, url, options.requests))
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
