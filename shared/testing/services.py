"""The five event services as real processes on a real Kafka and PostgreSQL, for tests that kill things."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from deploy.migrations import migrate_all
from deploy.provisioning import provision_topics

SERVICES = ("intake", "classifier", "dispatcher", "tracker", "notifier")
OPERATIONS_TOKEN = "operations-of-a-test"


@dataclass
class RunningServices:
    """Starts, kills and stops services; `ports` and `urls` are by service name."""

    bootstrap_servers: str
    urls: Mapping[str, str]
    ports: Mapping[str, int]
    logs: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    """By service name, and by `name-1` for a second instance."""

    def start(self, name: str) -> None:
        """Starts one service; returns at once."""
        self.start_instance(name, 0, self.ports[name])

    def start_instance(self, name: str, number: int, port: int) -> None:
        """Starts an instance of a service on a port of its own; number 0 is known by the bare name."""
        environment = {
            **os.environ,
            "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "CHIKAYA_DATABASE_URL": self.urls[name],
            "CHIKAYA_HTTP_PORT": str(port),
            "CHIKAYA_INSTANCE_ID": f"{name}-{number}",
            "CHIKAYA_ACCESS_CODE_KEYS": '{"k1": "00112233445566778899aabbccddeeff"}',
            "CHIKAYA_OPERATIONS_TOKEN": OPERATIONS_TOKEN,
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name if number == 0 else f"{name}-{number}"] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}.service"], env=environment, stdout=log, stderr=log
            )

    def wait_ready(self, name: str, seconds: float = 30.0) -> None:
        """Raises TimeoutError when the service does not become ready."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            try:
                if httpx.get(f"{self.address(name)}/health/ready", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"{name} is not ready; its log: {self.logs / f'{name}.log'}")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> dict[str, int]:
        """Stops all gracefully; exit codes by name."""
        for process in self.processes.values():
            process.terminate()
        return {name: process.wait(20) for name, process in self.processes.items()}

    def address(self, name: str) -> str:
        """http://host:port of a service."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def file(self, body: Mapping[str, object], seconds: float = 60.0) -> dict[str, str]:
        """Files as a patient client does, with one key until a 201; the receipt. Raises TimeoutError."""
        headers = {"Idempotency-Key": str(uuid4())}
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            try:
                answer = httpx.post(f"{self.address('intake')}/v1/complaints", json=body, headers=headers, timeout=5)
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            if answer.status_code == 201:
                return dict(answer.json())
            time.sleep(0.2)
        raise TimeoutError("the complaint was not accepted")

    def follow(self, receipt: Mapping[str, str]) -> "httpx.Response":
        """What the citizen sees."""
        address = f"{self.address('tracker')}/v1/complaints/{receipt['reference']}"
        return httpx.get(address, headers={"Access-Code": receipt["access_code"]})

    def conservation(self) -> dict[str, object]:
        """What operations see."""
        headers = {"Authorization": f"Bearer {OPERATIONS_TOKEN}"}
        return dict(httpx.get(f"{self.address('tracker')}/v1/conservation", headers=headers, timeout=30).json())


@dataclass(frozen=True)
class Stand:
    """Services on a broker and a database that a test may break."""

    kafka: EmbeddedKafka
    postgres: EmbeddedPostgres
    services: RunningServices


@contextmanager
def running_stand(logs: Path) -> Iterator[Stand]:
    """A fresh broker and database with all services ready; all are stopped at the end."""
    with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
        urls = {name: postgres.create_database(name) for name in SERVICES}
        migrate_all(urls)
        provision_topics(kafka.bootstrap_servers)
        services = RunningServices(kafka.bootstrap_servers, urls, {name: free_port() for name in SERVICES}, logs)
        try:
            for name in SERVICES:
                services.start(name)
            for name in SERVICES:
                services.wait_ready(name)
            yield Stand(kafka, postgres, services)
        finally:
            services.stop()
