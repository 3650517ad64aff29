"""aiokafka on uvloop: what a write to a connection just lost looks like."""

import asyncio
import os
import socket
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.messaging.lost_connections import expect_lost_connections
from shared.testing.stores import Stores


async def _send_on_a_lost_connection(bootstrap_servers: str) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        assert await client.ready(client.get_random_node())
        (connection,) = client._conns.values()
        with socket.socket(fileno=os.dup(connection._writer.get_extra_info("socket").fileno())) as its_socket:
            its_socket.shutdown(socket.SHUT_RDWR)
        while connection._writer is not None:
            asyncio.ensure_future(connection.send(MetadataRequest([]))).cancel()
            await asyncio.sleep(0)
    finally:
        await client.close()


def _what_is_raised(bootstrap_servers: str, expected: bool) -> type[BaseException] | None:
    if expected:
        expect_lost_connections()
    try:
        uvloop.run(_send_on_a_lost_connection(bootstrap_servers))
    except RuntimeError as error:
        return type(error)
    return None


@pytest.mark.parametrize("expected, raised", [(False, RuntimeError), (True, KafkaConnectionError)])
def test_a_lost_connection_is_one(stores: Stores, expected: bool, raised: type[BaseException]) -> None:
    """Should the first case fail, uvloop or aiokafka has changed: `shared.messaging.lost_connections` can go.

    In a process of its own, as services have it: uvloop leaves traces in the interpreter.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(_what_is_raised, stores.bootstrap_servers, expected).result() is raised
