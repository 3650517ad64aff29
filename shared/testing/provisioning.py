"""The provisioner and administrations with their own credentials, on a stand of running services."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AclBinding, AdminClient

from deploy.provisioner.credentials import Credentials, CredentialsFolder
from deploy.provisioner.dispatcher import Dispatcher
from deploy.provisioner.kafka import KafkaProvisioner, principal_filter
from shared.testing.administration import reply_headers
from shared.testing.services import OPERATIONS_TOKEN, PROVISIONER_TOKEN, Stand
from shared.testing.waiting import wait_until

SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "log_level": "0"}


@dataclass(frozen=True)
class Operations:
    """What operations do with administrations, and what the cluster then looks like."""

    stand: Stand
    folder: Path

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {OPERATIONS_TOKEN}"}
        url = f"{self.stand.services.address('dispatcher')}/v1/administrations{path}"
        return httpx.request(method, url, headers=headers, json=body, timeout=30)

    def entry(self, code: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/{code}").json())

    def wait_for(self, code: str, state: str, seconds: float = 60.0) -> None:
        wait_until(lambda: self.entry(code)["state"] == state, seconds)

    def onboard(self, code: str) -> Credentials:
        assert self.call("POST", f"/{code}/onboarding").status_code == 202
        self.wait_for(code, "ready")
        return self.credentials(code)

    def rotate(self, code: str) -> Credentials:
        wanted = self.call("POST", f"/{code}/rotation").json()["generation"]
        wait_until(lambda: self.entry(code)["generation_in_place"] == wanted)
        return self.credentials(code)

    def credentials(self, code: str) -> Credentials:
        return Credentials.read(self.folder / f"{code}.json")

    def rules(self, code: str) -> list[AclBinding]:
        """The access rules of an administration, as the cluster has them."""
        admin = self._admin()
        return sorted(admin.describe_acls(principal_filter(code)).result())

    def topics(self) -> set[str]:
        return set(self._admin().list_topics(timeout=10).topics)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.stand.kafka.bootstrap_servers})

    @contextmanager
    def parts(self) -> Iterator[tuple[Dispatcher, KafkaProvisioner, CredentialsFolder]]:
        """What the provisioner is made of."""
        url = self.stand.services.address("dispatcher")
        with Dispatcher(url, PROVISIONER_TOKEN) as dispatcher:
            yield (
                dispatcher,
                KafkaProvisioner({"bootstrap.servers": self.stand.kafka.bootstrap_servers}, SASL, 1),
                CredentialsFolder(self.folder, self.stand.kafka.administrations_servers, url),
            )

    @contextmanager
    def running_provisioner(self) -> Iterator["subprocess.Popen[bytes]"]:
        """The provisioner as a process, ended with the block."""
        environment = {
            **os.environ,
            "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.stand.kafka.bootstrap_servers,
            "CHIKAYA_KAFKA_ADMINISTRATIONS_SERVERS": self.stand.kafka.administrations_servers,
            "CHIKAYA_DISPATCHER_URL": self.stand.services.address("dispatcher"),
            "CHIKAYA_PROVISIONER_TOKEN": PROVISIONER_TOKEN,
            "CHIKAYA_CREDENTIALS_FOLDER": str(self.folder),
        }
        process = subprocess.Popen([sys.executable, "-m", "deploy.provisioner.program"], env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@dataclass(frozen=True)
class Member:
    """An administration that signs in with its own name and password, by librdkafka."""

    credentials: Credentials

    @property
    def _settings(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.credentials.bootstrap_servers,
            "sasl.username": self.credentials.principal,
            "sasl.password": self.credentials.password,
            **SASL,
        }

    def read_first(self, topic: str, seconds: float = 10.0) -> str:
        """The `ce_type` of the first record of a topic, else the name of the error that stands in the way."""
        consumer = Consumer({**self._settings, "group.id": f"administrations.{self.credentials.code}.test"})
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            message = consumer.poll(seconds)
            if message is None:
                return "nothing"
            error = message.error()
            return _ce_type(message) if error is None else str(error.name())
        finally:
            consumer.close()

    def join(self, group: str, topic: str) -> str:
        """`joined` when records of the topic come through the group, else the name of the error."""
        consumer = Consumer({**self._settings, "group.id": group, "auto.offset.reset": "earliest"})
        try:
            consumer.subscribe([topic])
            message = consumer.poll(10.0)
            assert message is not None, "neither a record nor an error"
            error = message.error()
            return "joined" if error is None else str(error.name())
        finally:
            consumer.close()

    def write(self, topic: str, value: bytes) -> str:
        """`written`, or the name of the error."""
        results: list[str] = []

        def delivered(error: KafkaError | None, _message: object) -> None:
            results.append("written" if error is None else str(error.name()))

        producer = Producer({**self._settings, "message.timeout.ms": 8000})
        producer.produce(topic, value, headers=reply_headers(self.credentials.code), on_delivery=delivered)
        producer.flush(12)
        return results[0]

    def visible_topics(self) -> set[str]:
        """The topics the cluster admits to; raises KafkaException when the name or password is wrong."""
        return set(AdminClient(self._settings).list_topics(timeout=3).topics)

    def signs_in(self) -> bool:
        """Whether name and password are right."""
        try:
            self.visible_topics()
        except KafkaException:
            return False
        return True


def _ce_type(message: Message) -> str:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    found = next(value for name, value in pairs if name == "ce_type")
    return found.decode() if isinstance(found, bytes) else str(found)
