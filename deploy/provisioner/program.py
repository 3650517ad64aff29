"""Runs the provisioner: asks the dispatcher what to do, does it in Kafka, reports it. Killed anywhere, it starts over.

It keeps nothing but the credentials folder; what a task did already is done again and changes nothing. One runs at
a time (a lock in that folder).
"""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import structlog
from confluent_kafka import KafkaException
from filelock import FileLock
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.provisioner.credentials import CredentialsFolder
from deploy.provisioner.dispatcher import Dispatcher, ReportRefused, Task
from deploy.provisioner.kafka import KafkaProvisioner, ProbeFailed, Provisioner
from shared.runtime.logging import configure_logging

log = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 1.0
_AT_ONCE = 8
_LOCK_SECONDS = 15.0
_EXPECTED = (httpx.HTTPError, KafkaException, ProbeFailed, ReportRefused)


class ProvisionerSettings(BaseSettings):
    """Environment variables prefixed `CHIKAYA_`.

    `kafka_admin` are librdkafka's settings of an administrator's connection beyond its servers, `kafka_client`
    those with which administrations connect beyond servers, name and password.
    """

    model_config = SettingsConfigDict(env_prefix="CHIKAYA_", extra="ignore")

    kafka_bootstrap_servers: str
    kafka_administrations_servers: str
    kafka_admin: dict[str, str] = Field(default_factory=dict)
    kafka_client: dict[str, str] = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
    replication_factor: int = Field(default=1, ge=1)
    dispatcher_url: str
    provisioner_token: SecretStr
    credentials_folder: Path
    log_level: str = "INFO"


class Rounds:
    """Does the tasks of the dispatcher, round after round; what fails is tried again in the next."""

    def __init__(self, dispatcher: Dispatcher, provisioner: Provisioner, credentials: CredentialsFolder) -> None:
        self._dispatcher = dispatcher
        self._provisioner = provisioner
        self._credentials = credentials

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set."""

        def unless_stopping(task: Task) -> None:
            if not stopping.is_set():
                self.do(task)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            while not stopping.wait(_LOOK_EVERY_SECONDS):
                try:
                    tasks = self._dispatcher.tasks()
                except httpx.HTTPError as error:
                    log.info("dispatcher_not_reached", error=repr(error))
                    continue
                list(threads.map(unless_stopping, tasks))

    def do(self, task: Task) -> None:
        """One task; an expected failure is logged."""
        try:
            if task.task == "provision":
                self._provision(task)
            else:
                self._withdraw(task)
        except _EXPECTED as error:
            log.warning("task_postponed", code=task.code, task=task.task, error=str(error) or repr(error))
        else:
            log.info("task_done", code=task.code, task=task.task, generation=task.generation)

    def _provision(self, task: Task) -> None:
        credentials = self._credentials.of(task.code, task.generation)
        self._provisioner.provide(credentials)
        probe = self._provisioner.probe(credentials)
        try:
            event_id = self._dispatcher.report(task, "provisioned", credentials.token_sha256)
            probe.find(event_id or "")
        finally:
            probe.close()
        self._dispatcher.report(task, "probed")

    def _withdraw(self, task: Task) -> None:
        self._provisioner.withdraw(task.code)
        self._credentials.forget(task.code)
        self._dispatcher.report(task, "withdrawn")


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = ProvisionerSettings()
    configure_logging("provisioner", settings.log_level)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    settings.credentials_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kafka = KafkaProvisioner(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, **settings.kafka_admin},
        settings.kafka_client,
        settings.replication_factor,
    )
    credentials = CredentialsFolder(
        settings.credentials_folder, settings.kafka_administrations_servers, settings.dispatcher_url
    )
    with (
        FileLock(settings.credentials_folder / "lock", timeout=_LOCK_SECONDS),
        Dispatcher(settings.dispatcher_url, settings.provisioner_token.get_secret_value()) as dispatcher,
    ):
        Rounds(dispatcher, kafka, credentials).run(stopping)


if __name__ == "__main__":
    main()
