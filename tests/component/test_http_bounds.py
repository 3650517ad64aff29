"""What attacks on the HTTP server cost: an error of the 4xx kind and a closed connection, nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, Request

from deploy.local.processes import free_port
from shared.runtime import bounded_http, http
from shared.runtime.http import Health, HttpServer, make_app
from shared.runtime.settings import HttpSettings
from shared.testing.waiting import until

HEAD = b"POST /echo HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server with less patience than usual."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(http, "_BODY_SECONDS", 0.3)
    router = APIRouter()

    @router.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    settings = HttpSettings(http_port=free_port())
    server = HttpServer(make_app("test", settings, Health(ready=True), [router]), settings)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield settings.http_port
    server.should_exit = True
    await serving


async def answer(port: int, *parts: bytes, pause: float = 0.0, repeat_last: int = 0) -> tuple[str, int]:
    """(status, bytes that were sent) until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = asyncio.create_task(reader.readline())
    sent = 0
    with contextlib.suppress(ConnectionError):
        for part in (*parts, *(parts[-1] for _ in range(repeat_last))):
            if answered.done():
                break
            writer.write(part)
            await writer.drain()
            sent += len(part)
            await asyncio.sleep(pause)
    line = b""
    with contextlib.suppress(ConnectionError):
        line = await asyncio.wait_for(answered, 10)
    writer.close()
    return line.decode().partition(" ")[2].strip(), sent


async def test_an_honest_request_is_answered(port: int) -> None:
    assert (await answer(port, HEAD, b"content-length: 2\r\n\r\nhi"))[0] == "200 OK"


async def test_a_stream_without_end_is_cut_off(port: int) -> None:
    """A gigabyte is on offer; the server reads little more than the limit of a body."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    status, sent = await answer(port, HEAD, b"transfer-encoding: chunked\r\n\r\n", chunk, repeat_last=16_384)
    assert status.startswith("413") and sent < 16 * 1024 * 1024
    declared, _ = await answer(port, HEAD, b"content-length: 1000000000\r\n\r\n")
    assert declared.startswith("413")


async def test_headers_without_end_are_cut_off(port: int) -> None:
    status, sent = await answer(port, HEAD, b"x-" + b"a" * 4000 + b": " + b"b" * 4000 + b"\r\n", repeat_last=10_000)
    assert status.startswith("431") and sent < 4 * 1024 * 1024
    one, _ = await answer(port, HEAD, b"x: " + b"b" * 200_000)
    assert one.startswith("431")


async def test_a_slow_head_is_not_waited_for(port: int) -> None:
    assert (await answer(port))[0].startswith("408")
    status, _ = await answer(port, HEAD, b"x: y\r\n", pause=0.05, repeat_last=40)
    assert status.startswith("408")


async def test_a_slow_body_is_not_waited_for(port: int) -> None:
    status, _ = await answer(port, HEAD, b"content-length: 1000\r\n\r\n", b"x", pause=0.05, repeat_last=40)
    assert status.startswith("408")


async def test_many_slow_clients_delay_nobody(port: int) -> None:
    slow = [asyncio.create_task(answer(port, HEAD)) for _ in range(100)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await answer(port, HEAD, b"content-length: 2\r\n\r\nhi"))[0] == "200 OK"
    assert loop.time() - began < 5
    assert {status.partition(" ")[0] for status, _ in await asyncio.gather(*slow)} == {"408"}
