"""Impatient clients, twice the same key, two instances, Kafka away for a while: each filing is accepted once."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from shared.contracts.topics import INTERNAL_PARTITIONS, SUBMITTED
from shared.testing.services import Stand, running_stand
from shared.testing.waiting import until

_CLIENTS = 32
_TRIES = 200


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with running_stand(tmp_path, ["intake"]) as running:
        running.services.start("intake", 1)
        yield running


@dataclass
class Frontend:
    """Files under numbered keys as an impatient client does; remembers every receipt it got."""

    addresses: tuple[str, str]
    credentials: httpx.Auth
    chance: random.Random
    receipts: dict[int, set[str]] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)

    async def file(self, numbers: Iterator[int]) -> None:
        """Files each number once or twice at a time, on either instance, until there is a receipt."""
        async with httpx.AsyncClient(auth=self.credentials) as http:
            for number in numbers:
                copies = 2 if self.chance.random() < 0.2 else 1
                await asyncio.gather(*(self._until_accepted(http, number) for _ in range(copies)))

    async def _until_accepted(self, http: httpx.AsyncClient, number: int) -> None:
        body = {"subject": f"Hôpital {number}", "text": "Aucun médecin", "channel": "mobile"}
        for _ in range(_TRIES):
            address = f"{self.chance.choice(self.addresses)}/v1/complaints"
            patience = self.chance.choice((0.005, 0.02, 5.0, 5.0, 5.0))
            try:
                answer = await http.post(
                    address,
                    json=body,
                    headers={"Idempotency-Key": str(number)},
                    timeout=httpx.Timeout(5, read=patience),
                )
            except httpx.HTTPError:
                continue
            self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
            if answer.status_code == 201:
                self.receipts.setdefault(number, set()).add(answer.json()["id"])
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"filing {number} was never accepted: {self.answers}")


@pytest.mark.timeout(1200)
def test_each_filing_is_accepted_once_and_delivered(stand: Stand, full: bool) -> None:
    number = 100_000 if full else 800
    services = stand.services
    addresses = (services.address("intake"), services.address("intake", 1))
    frontend = Frontend(addresses, services.client(), random.Random(7))

    async def traffic() -> None:
        numbers = iter(range(number))
        clients = [asyncio.create_task(frontend.file(numbers)) for _ in range(_CLIENTS)]
        await until(lambda: len(frontend.receipts) >= number // 4, 600)
        await asyncio.to_thread(stand.kafka.kill)
        await until(lambda: len(frontend.receipts) >= number // 2, 600)
        await asyncio.to_thread(stand.kafka.start)
        await asyncio.gather(*clients)

    asyncio.run(traffic())
    assert set(frontend.receipts) == set(range(number))
    assert {len(ids) for ids in frontend.receipts.values()} == {1}, "one key, one receipt"
    accepted = {next(iter(ids)) for ids in frontend.receipts.values()}
    assert len(accepted) == number
    assert delivered(stand.kafka.bootstrap_servers, number) == accepted
    assert set(frontend.answers) <= {201, 503}


def delivered(bootstrap_servers: str, number: int) -> set[str]:
    """The ids of the complaints on the topic, once there are so many and nothing more comes."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "checker", "enable.auto.commit": False})
    consumer.assign([TopicPartition(SUBMITTED.name, partition, 0) for partition in range(INTERNAL_PARTITIONS)])
    found: list[str] = []
    quiet = 0
    while quiet < (2 if len(set(found)) >= number else 30):
        messages = consumer.consume(1_000, timeout=1)
        quiet = 0 if messages else quiet + 1
        found += [(message.key() or b"").decode() for message in messages if not message.error()]
    consumer.close()
    return set(found)
