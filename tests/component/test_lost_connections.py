"""aiokafka on uvloop: what a write to a connection just lost looks like."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.messaging.lost_connections import expect_lost_connections
from shared.testing.stores import Stores


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    send = AIOKafkaConnection.send
    yield
    AIOKafkaConnection.send = send


async def send_on_a_lost_connection(bootstrap_servers: str) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        node = client.get_random_node()
        assert await client.ready(node)
        (connection,) = client._conns.values()
        with socket.socket(fileno=os.dup(connection._writer.get_extra_info("socket").fileno())) as its_socket:
            its_socket.shutdown(socket.SHUT_RDWR)
        while connection._writer is not None:
            sending = asyncio.ensure_future(connection.send(MetadataRequest([])))
            sending.cancel()
            await asyncio.sleep(0)
    finally:
        await client.close()


def test_aiokafka_does_not_expect_what_uvloop_raises(stores: Stores) -> None:
    """Should this fail, aiokafka or uvloop has changed: `shared.messaging.lost_connections` can go."""
    with pytest.raises(RuntimeError, match="the handler is closed"):
        uvloop.run(send_on_a_lost_connection(stores.bootstrap_servers))


def test_a_lost_connection_is_one(stores: Stores) -> None:
    expect_lost_connections()
    with pytest.raises(KafkaConnectionError):
        uvloop.run(send_on_a_lost_connection(stores.bootstrap_servers))
