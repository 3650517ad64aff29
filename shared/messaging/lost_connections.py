"""What aiokafka has to be taught about uvloop, on which services run.

A write to a connection that was lost a moment ago is dropped by asyncio's own transports, and raises RuntimeError in
uvloop's. aiokafka expects OSError and its own errors only: any other ends its inner tasks (fetcher, metadata, sender)
for good and without a word, so that after a broker was killed a consumer could read nothing more until its restart.
"""

from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError

_send = AIOKafkaConnection.send


def expect_lost_connections() -> None:
    """Has aiokafka see a lost connection as what it is, in this whole process."""
    AIOKafkaConnection.send = _send_or_connection_error


def _send_or_connection_error(self: Any, request: Any, expect_response: bool = True) -> Awaitable[Any]:
    try:
        answer: Awaitable[Any] = _send(self, request, expect_response)
    except KafkaError:
        raise
    except RuntimeError as error:
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} lost: {error}") from error
    return answer
