"""What an administration says about its assignments, over Kafka or over HTTP. Both ways meet the same checks.

Sending again with the same id does nothing twice; the same id for another message is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from clients.administration.connection import Connection, KafkaFailed
from shared.contracts.events import AdministrationReplied


class ReplyRefused(Exception):
    """Chikaya did not apply a reply; `reason` is a word for programs, the message one for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True)
class Reply:
    """One reply, with the CloudEvents attributes it goes out under."""

    attributes: Mapping[str, str]
    data: bytes

    @classmethod
    def of(cls, code: str, data: Mapping[str, Any], *, reply_id: str | None = None) -> "Reply":
        """`data` is that of `ma.chikaya.administration.replied.v1`; raises pydantic's ValidationError for another."""
        told = {name: value for name, value in data.items() if value is not None}
        AdministrationReplied.model_validate_json(orjson.dumps(told))
        attributes = {
            "specversion": "1.0",
            "id": reply_id or str(uuid4()),
            "source": f"/administrations/{code}",
            "type": AdministrationReplied.TYPE,
            "time": datetime.now(UTC).isoformat(),
        }
        return cls(attributes, orjson.dumps(told))


async def send_over_kafka(connection: Connection, reply: Reply) -> None:
    """Returns once Kafka has the reply; a refusal comes back in the topic of rejections. Raises KafkaFailed."""
    producer = AIOKafkaProducer(**connection.kafka(), acks="all")
    try:
        await producer.start()
        headers = [(f"ce_{name}", value.encode()) for name, value in reply.attributes.items()]
        headers.append(("content-type", b"application/json; charset=utf-8"))
        await producer.send_and_wait(connection.outbox, reply.data, headers=headers)
    except KafkaError as error:
        raise KafkaFailed(repr(error)) from error
    finally:
        await producer.stop()


async def send_over_http(connection: Connection, reply: Reply, client: httpx.AsyncClient) -> None:
    """Returns once the reply is applied. Raises ReplyRefused, httpx.HTTPError."""
    headers = {f"ce-{name}": value for name, value in reply.attributes.items()}
    headers |= {"content-type": "application/json; charset=utf-8", "Authorization": f"Bearer {connection.token}"}
    url = f"{connection.dispatcher_url}/v1/administrations/{connection.code}/replies"
    answer = await client.post(url, content=reply.data, headers=headers)
    if answer.status_code in (HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
        problem = answer.json()
        raise ReplyRefused(problem.get("reason", "invalid"), problem.get("detail", problem["title"]))
    answer.raise_for_status()
