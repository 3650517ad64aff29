"""The five event services as real processes on a real Kafka and PostgreSQL, for tests that kill things."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
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
from shared.runtime.client_credentials import ClientCredentials

SERVICES = ("intake", "classifier", "dispatcher", "tracker", "notifier")
OPERATIONS_TOKEN = "operations-of-a-test"
PROVISIONER_TOKEN = "provisioner-of-a-test"
OFFICER_TOKEN = "officer-of-a-test"
CLIENT_SECRET = "client-of-a-test"


@dataclass
class RunningServices:
    """Starts services and, as a supervisor does, starts again what ended; `ports` and `urls` are by service name."""

    bootstrap_servers: str
    urls: Mapping[str, str]
    ports: Mapping[str, int]
    logs: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    """By instance id: service name and number of the instance."""

    _ports: dict[str, int] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watching: threading.Thread | None = None
    _client: ClientCredentials | None = None

    def start(self, name: str, number: int = 0) -> None:
        """Starts an instance of a service; returns at once."""
        instance = f"{name}-{number}"
        self._ports[instance] = self.ports[name] if number == 0 else free_port()
        self._spawn(instance)
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, daemon=True)
            self._watching.start()

    def run_once(self, name: str) -> str:
        """Runs a service that should refuse to work, until it ends; its log. Raises TimeoutExpired."""
        self._ports[f"{name}-0"] = self.ports[name]
        self._spawn(f"{name}-0")
        self.processes[f"{name}-0"].wait(20)
        return (self.logs / f"{name}-0.log").read_text()

    def _spawn(self, instance: str) -> None:
        name = instance.partition("-")[0]
        environment = {
            **os.environ,
            "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "CHIKAYA_DATABASE_URL": self.urls[name],
            "CHIKAYA_HTTP_PORT": str(self._ports[instance]),
            "CHIKAYA_INSTANCE_ID": instance,
            "CHIKAYA_ACCESS_CODE_KEYS": '{"k1": "00112233445566778899aabbccddeeff"}',
            "CHIKAYA_ATTACHMENTS_FOLDER": str(self.logs / "attachments"),
            "CHIKAYA_SIGNING_KEYS": json.dumps({"test-1": "07" * 32}),
            "CHIKAYA_ENVIRONMENT": "development",
            "CHIKAYA_DEVELOPMENT_KEY": "08" * 32,
            "CHIKAYA_DEVELOPMENT_CLIENTS": json.dumps({"test": CLIENT_SECRET}),
            "CHIKAYA_OPERATIONS_TOKEN": OPERATIONS_TOKEN,
            "CHIKAYA_PROVISIONER_TOKEN": PROVISIONER_TOKEN,
            "CHIKAYA_OFFICER_TOKENS": json.dumps({"amina": OFFICER_TOKEN}),
            "CHIKAYA_DECISION_HOLD_SECONDS": "1",
        }
        with (self.logs / f"{instance}.log").open("ab") as log:
            self.processes[instance] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}.service"], env=environment, stdout=log, stderr=log
            )

    def _watch(self) -> None:
        while not self._stopping.wait(0.2):
            for instance, process in list(self.processes.items()):
                if process.poll() is not None:
                    self._spawn(instance)

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
        raise TimeoutError(f"{name} is not ready; its log: {self.logs / f'{name}-0.log'}")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.processes[f"{name}-0"].kill()

    def stop(self) -> dict[str, int]:
        """Stops all gracefully; exit codes by instance."""
        self._stopping.set()
        if self._watching is not None:
            self._watching.join()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        return {instance: process.wait(40) for instance, process in self.processes.items()}

    def address(self, name: str, number: int = 0) -> str:
        """http://host:port of a service, or of another instance of it that was started."""
        return f"http://127.0.0.1:{self._ports[f'{name}-{number}'] if number else self.ports[name]}"

    def client(self) -> ClientCredentials:
        """How intake knows the one who files; one for all threads."""
        if self._client is None:
            self._client = ClientCredentials(f"{self.address('intake')}/v1/development/token", "test", CLIENT_SECRET)
        return self._client

    def file(self, body: Mapping[str, object], seconds: float = 60.0) -> dict[str, str]:
        """Files as a patient client does, with one key until a 201; the receipt. Raises TimeoutError."""
        headers = {"Idempotency-Key": str(uuid4())}
        address = f"{self.address('intake')}/v1/complaints"
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            try:
                answer = httpx.post(address, json=body, headers=headers, timeout=5, auth=self.client())
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
        """What operations see. Waits while the tracker answers 503; raises httpx.HTTPStatusError for other errors."""
        headers = {"Authorization": f"Bearer {OPERATIONS_TOKEN}"}
        give_up_at = time.monotonic() + 60
        while True:
            answer = httpx.get(f"{self.address('tracker')}/v1/conservation", headers=headers, timeout=30)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > give_up_at:
                return dict(answer.raise_for_status().json())
            time.sleep(0.2)


@dataclass(frozen=True)
class Stand:
    """Services on a broker and a database that a test may break."""

    kafka: EmbeddedKafka
    postgres: EmbeddedPostgres
    services: RunningServices


@contextmanager
def running_stand(logs: Path, names: Sequence[str] = SERVICES) -> Iterator[Stand]:
    """A fresh broker and database with services ready; all are stopped at the end."""
    with EmbeddedKafka() as kafka, EmbeddedPostgres() as postgres:
        urls = {name: postgres.create_database(name) for name in SERVICES}
        migrate_all(urls)
        provision_topics(kafka.bootstrap_servers)
        services = RunningServices(kafka.bootstrap_servers, urls, {name: free_port() for name in SERVICES}, logs)
        try:
            for name in names:
                services.start(name)
            for name in names:
                services.wait_ready(name)
            yield Stand(kafka, postgres, services)
        finally:
            services.stop()
