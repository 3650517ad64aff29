"""The whole system on one machine: Kafka, PostgreSQL, the six services and a catcher of their messages."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from deploy.local import secrets
from deploy.local.errors import EmbeddedStackError
from deploy.local.kafka import EmbeddedKafka
from deploy.local.kafka_distribution import Progress
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import LOOPBACK, kept_port
from deploy.local.state import ProcessRecord, StackState, read_state, remove_state
from deploy.local.supervision import Component, ServiceProcess, Supervisor, together
from deploy.local.watchdog import Watchdog, end_processes

CHECKOUT = Path(__file__).resolve().parents[2]

_log = logging.getLogger(__name__)

_LEFTOVER_GRACE_SECONDS = 10.0
_OWN_ENTRIES = (
    "kafka",
    "postgres",
    "logs",
    "ports",
    "stack.json",
    "credentials",
    "attachments",
    "models",
    *secrets.FILES,
)


@dataclass(frozen=True)
class ServiceDefinition:
    """How one service is started; every service gets the same environment variables."""

    name: str
    preferred_port: int
    command: tuple[str, ...]
    has_database: bool = True


def _module(name: str, preferred_port: int, *, has_database: bool = True) -> ServiceDefinition:
    command = (sys.executable, "-m", f"services.{name}.service")
    return ServiceDefinition(name, preferred_port, command, has_database)


SERVICES = (
    _module("portal", 8080, has_database=False),
    _module("intake", 8081),
    _module("classifier", 8082),
    _module("dispatcher", 8083),
    _module("tracker", 8084),
    _module("notifier", 8085),
    ServiceDefinition("catcher", 8086, (sys.executable, "-m", "deploy.local.catcher"), has_database=False),
)
"""The services, and where their e-mails and short messages end."""

_CATCHER_PORTS = {"smtp": 8025, "smpp": 2775}


class StackAlreadyRunningError(EmbeddedStackError):
    """Another process runs the stack on this folder."""

    def __init__(self, folder: Path) -> None:
        state = read_state(folder)
        owner = f" (pid {state.supervisor.pid})" if state is not None else ""
        super().__init__(
            f"A stack already runs on {folder}{owner}: look at it with `./chikaya status`, "
            "stop it with `./chikaya down`, or give another folder with --data."
        )


class PreparationError(EmbeddedStackError):
    """Topics or tables could not be created."""

    def __init__(self, step: str, error: Exception) -> None:
        super().__init__(
            f"{step} failed: {type(error).__name__}: {error}. The traceback is in "
            "logs/supervisor.log of the data folder; `./chikaya up --fresh` begins with empty data."
        )


def prepare_stores(kafka: EmbeddedKafka, databases: dict[str, str]) -> tuple[Callable[[], None], Callable[[], None]]:
    """The two steps between the stores and the services: create topics, create tables."""

    def provision() -> None:
        from deploy.provisioning import provision_topics

        provision_topics(kafka.bootstrap_servers)

    def migrate() -> None:
        from deploy.migrations import migrate_all

        migrate_all(databases)

    return provision, migrate


class LocalStack:
    """One stack on one data folder. One thread drives it.

    `start()` blocks until every service is ready; after it, what crashes is restarted. Whatever
    happens to this process, the watchdog ends the others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: Sequence[ServiceDefinition] = SERVICES,
        prepare: Callable[
            [EmbeddedKafka, dict[str, str]],
            tuple[Callable[[], None], Callable[[], None]],
        ] = prepare_stores,
        on_progress: Progress | None = None,
    ) -> None:
        """Nothing is started or written yet."""
        self.folder = folder.absolute()
        self.databases: dict[str, str] = {}
        self._definitions = tuple(services)
        self._prepare = prepare
        self._report = on_progress or (lambda _line: None)
        self._lock = FileLock(self.folder / "stack.lock")
        self._watchdog = Watchdog()
        self._supervisor = Supervisor(self._watchdog, on_restart=lambda: self._record("ready"))
        self._services: dict[str, ServiceProcess] = {}
        self._provisioner: ServiceProcess | None = None
        self._log_handler: logging.Handler | None = None
        self.kafka = EmbeddedKafka(
            self.folder / "kafka",
            log_path=self.log_path("kafka"),
            on_progress=self._report,
            watchdog=self._watchdog,
        )
        self.postgres = EmbeddedPostgres(
            self.folder / "postgres",
            log_path=self.log_path("postgres"),
            watchdog=self._watchdog,
        )

    def log_path(self, name: str) -> Path:
        """The log file of a process of the stack."""
        return self.folder / "logs" / f"{name}.log"

    @property
    def addresses(self) -> dict[str, str]:
        """HTTP address by service name, the portal first; known once `start()` returned."""
        return {name: f"http://{LOOPBACK}:{one.http_port}" for name, one in self._services.items()}

    def start(self, *, fresh: bool = False) -> None:
        """Start everything on the kept data (`fresh`: thrown away first); block until ready.

        On an error what was started is stopped. Raises StackAlreadyRunningError, or another
        EmbeddedStackError that names the part which failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StackAlreadyRunningError(self.folder) from None
        try:
            self._start(fresh=fresh)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop services, then the stores; leaves no process. Data is kept."""
        self._supervisor.stop()
        self._watchdog.close()
        if self._lock.is_locked:
            remove_state(self.folder)
            self._lock.release()
        if self._log_handler is not None:
            logging.getLogger("deploy").removeHandler(self._log_handler)
            self._log_handler.close()
            self._log_handler = None

    def _start(self, *, fresh: bool) -> None:
        end_leftovers(self.folder)
        if fresh:
            discard_data(self.folder)
        self._log_to_file()
        self._watchdog.open()
        self._record("starting")
        self._supervisor.add_tier({"kafka": self.kafka, "postgres": self.postgres}, stores=True)
        self._report("starting Kafka and PostgreSQL")
        provision, migrate = self._prepare(self.kafka, self.databases)
        together(
            [
                lambda: self._start_kafka(provision),
                lambda: self._start_postgres(migrate),
            ]
        )
        self._report("starting the services")
        self._services = self._service_processes()
        self._supervisor.add_tier(self._services)
        for service in self._services.values():
            service.start()
        self._record("starting")
        together([service.wait_ready for service in self._services.values()])
        if "dispatcher" in self._services:
            self._provisioner = self._provisioner_process()
            self._supervisor.add_tier({"provisioner": self._provisioner})
            self._provisioner.start()
        self._record("ready")
        self._supervisor.watch()

    def _start_kafka(self, provision: Callable[[], None]) -> None:
        self.kafka.start()
        _prepared("Creating the topics in Kafka", provision)

    def _start_postgres(self, migrate: Callable[[], None]) -> None:
        self.postgres.start()
        for definition in self._definitions:
            if definition.has_database:
                self.databases[definition.name] = self.postgres.create_database(definition.name)
        _prepared("Migrating the databases", migrate)

    def _service_processes(self) -> dict[str, ServiceProcess]:
        ports = {
            one.name: kept_port(
                self.folder / "ports" / one.name,
                None,
                one.name,
                preferred=one.preferred_port,
            )
            for one in self._definitions
        }
        catcher = self._catcher_environment(ports)
        return {
            one.name: ServiceProcess(
                one.name,
                one.command,
                log_path=self.log_path(one.name),
                watchdog=self._watchdog,
                environment={**self._environment(one, ports), **catcher},
                folder=CHECKOUT,
                http_port=ports[one.name],
            )
            for one in self._definitions
        }

    def _provisioner_process(self) -> ServiceProcess:
        return ServiceProcess(
            "provisioner",
            (sys.executable, "-m", "deploy.provisioner.program"),
            log_path=self.log_path("provisioner"),
            watchdog=self._watchdog,
            environment={
                "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
                "CHIKAYA_KAFKA_ADMINISTRATIONS_SERVERS": self.kafka.administrations_servers,
                "CHIKAYA_DISPATCHER_URL": self.addresses["dispatcher"],
                "CHIKAYA_PROVISIONER_TOKEN": secrets.provisioner_token(self.folder),
                "CHIKAYA_CREDENTIALS_FOLDER": str(credentials_folder(self.folder)),
            },
            folder=CHECKOUT,
        )

    def _environment(self, definition: ServiceDefinition, ports: dict[str, int]) -> dict[str, str]:
        environment = {
            "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CHIKAYA_HTTP_HOST": LOOPBACK,
            "CHIKAYA_HTTP_PORT": str(ports[definition.name]),
            "CHIKAYA_INSTANCE_ID": f"{definition.name}-0",
            "CHIKAYA_ACCESS_CODE_KEYS": secrets.access_code_keys(self.folder),
            "CHIKAYA_ATTACHMENTS_FOLDER": str(self.folder / "attachments"),
            "CHIKAYA_SIGNING_KEYS": secrets.signing_keys(self.folder),
            "CHIKAYA_ENVIRONMENT": "development",
            "CHIKAYA_DEVELOPMENT_KEY": secrets.development_secret(self.folder),
            "CHIKAYA_OPERATIONS_TOKEN": secrets.operations_token(self.folder),
            "CHIKAYA_OFFICER_TOKENS": secrets.officer_tokens(self.folder),
            "CHIKAYA_MODELS": str(self.folder / "models"),
            "PYTHONUNBUFFERED": "1",
        }
        if definition.name == "dispatcher":
            environment["CHIKAYA_PROVISIONER_TOKEN"] = secrets.provisioner_token(self.folder)
        if definition.has_database:
            environment["CHIKAYA_DATABASE_URL"] = self.databases[definition.name]
            environment["CHIKAYA_DEVELOPMENT_CLIENTS"] = json.dumps(
                dict.fromkeys(("portal", "demo"), secrets.development_secret(self.folder))
            )
        else:
            environment["CHIKAYA_TOKEN_URL"] = f"http://{LOOPBACK}:{ports.get('intake', 0)}/v1/development/token"
            environment["CHIKAYA_CLIENT_SECRET"] = secrets.development_secret(self.folder)
            environment["CHIKAYA_INTAKE_URL"] = f"http://{LOOPBACK}:{ports.get('intake', 0)}"
            environment["CHIKAYA_TRACKER_URL"] = f"http://{LOOPBACK}:{ports.get('tracker', 0)}"
        return environment

    def _catcher_environment(self, ports: dict[str, int]) -> dict[str, str]:
        """Where the notifier sends and the catcher listens."""
        if "catcher" not in ports:
            return {}
        environment = {
            "CHIKAYA_SMTP_SECURITY": "none",
            "CHIKAYA_OPERATIONS_EMAIL": "operations@chikaya.example",
            "CHIKAYA_PORTAL_URL": f"http://{LOOPBACK}:{ports['portal']}",
        }
        for name, preferred in _CATCHER_PORTS.items():
            port = kept_port(self.folder / "ports" / name, None, f"catcher ({name})", preferred=preferred)
            environment |= {f"CHIKAYA_{name.upper()}_HOST": LOOPBACK, f"CHIKAYA_{name.upper()}_PORT": str(port)}
        return environment

    def _record(self, phase: str) -> None:
        components: dict[str, tuple[Component, str, int | None]] = {
            name: (service, self.addresses[name], service.http_port) for name, service in self._services.items()
        }
        if self._provisioner is not None:
            components["provisioner"] = (self._provisioner, "", None)
        if self.kafka.running:
            components["kafka"] = (self.kafka, self.kafka.bootstrap_servers, None)
        if self.postgres.running:
            components["postgres"] = (
                self.postgres,
                f"{LOOPBACK}:{self.postgres.port}",
                None,
            )
        records = [
            ProcessRecord.of(name, component.pid or 0, address, port)
            for name, (component, address, port) in components.items()
        ]
        if self._watchdog.pid is not None:
            records.append(ProcessRecord.of("watchdog", self._watchdog.pid))
        StackState(
            phase="ready" if phase == "ready" else "starting",
            supervisor=ProcessRecord.of("supervisor", os.getpid()),
            bootstrap_servers=self.kafka.bootstrap_servers if self.kafka.running else "",
            administrations_servers=self.kafka.administrations_servers if self.kafka.running else "",
            databases=dict(self.databases),
            processes=tuple(records),
        ).write(self.folder)

    def _log_to_file(self) -> None:
        path = self.log_path("supervisor")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log_handler = logging.FileHandler(path)
        self._log_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("deploy")
        logger.addHandler(self._log_handler)
        logger.setLevel(logging.INFO)


def _prepared(step: str, call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:
        _log.exception("%s failed", step)
        raise PreparationError(step, error) from error


def end_leftovers(folder: Path) -> None:
    """End what a crashed supervisor left behind, first gently, and forget its `stack.json`.

    Call only with the stack's lock held or after its supervisor ended.
    """
    state = read_state(folder)
    if state is None:
        return
    gentle = {
        process: signal.SIGINT if record.name == "postgres" else signal.SIGTERM
        for record in state.processes
        if (process := record.process()) is not None
    }
    end_processes(
        {process: int(number) for process, number in gentle.items()},
        _LEFTOVER_GRACE_SECONDS,
    )
    remove_state(folder)


def discard_data(folder: Path) -> None:
    """Delete what a stack keeps in its folder, and nothing else that may lie there."""
    for name in _OWN_ENTRIES:
        entry = folder / name
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def credentials_folder(folder: Path) -> Path:
    """Where the provisioner keeps what administrations sign in with."""
    return folder / "credentials"
