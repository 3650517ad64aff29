"""An administration as tests play it: with librdkafka, another client than ours, on its own three topics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from shared.testing.waiting import wait_until


def reply_headers(code: str, ce_id: str | None = None) -> list[tuple[str, str | bytes | None]]:
    """The CloudEvents headers of a reply in binary mode."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": ce_id or str(uuid4()),
        "ce_source": f"/{code}",
        "ce_type": "ma.chikaya.administration.replied.v1",
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in headers.items()]


@dataclass(frozen=True)
class TestAdministration:
    """One administration on a broker."""

    __test__ = False

    bootstrap_servers: str
    code: str

    @property
    def outbox(self) -> str:
        return f"administrations.{self.code}.outbox"

    def assignment(self, receipt: Mapping[str, str]) -> str:
        """The last assignment of a complaint in the inbox, once it is there."""
        found: list[str] = []

        def arrived() -> bool:
            found.extend(d["assignment_id"] for d in self.read("inbox") if d.get("reference") == receipt["reference"])
            return bool(found)

        wait_until(arrived)
        return found[-1]

    def reply(self, assignment_id: str, **data: str) -> None:
        """Sends a reply."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers})
        value = json.dumps({"assignment_id": assignment_id, **data})
        producer.produce(self.outbox, value, headers=reply_headers(self.code))
        assert producer.flush(10) == 0

    def rejections(self) -> list[str]:
        """Why messages were refused, in order."""
        return [data["reason"] for data in self.read("rejected")]

    def read(self, side: str) -> list[dict[str, Any]]:
        """The data of all committed records of `inbox` or `rejected`."""
        return [json.loads(message.value() or b"") for message in self._messages(side)]

    def _messages(self, side: str) -> list[Message]:
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": str(uuid4()), "enable.partition.eof": True}
        )
        consumer.assign([TopicPartition(f"administrations.{self.code}.{side}", 0, 0)])
        found = []
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found.append(message)
        consumer.close()
        return found
