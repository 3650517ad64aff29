"""Keeps a set of processes running: restarts what crashed, stops all in the reverse order."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.local.errors import ComponentStartError, EmbeddedStackError
from deploy.local.processes import LOOPBACK, ChildProcess
from deploy.local.watchdog import Watchdog

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 0.5
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 15.0
_STEADY_SECONDS = 30.0
_SERVICE_START_SECONDS = 60.0
_SERVICE_GRACE_SECONDS = 15.0


class Component(Protocol):
    """What can be supervised: EmbeddedKafka, EmbeddedPostgres, ServiceProcess."""

    @property
    def pid(self) -> int | None:
        """Process id while running, else None."""

    @property
    def running(self) -> bool:
        """True while the process lives."""

    @property
    def exit_code(self) -> int | None:
        """How the last process ended."""

    def start(self) -> None:
        """Start again on the same data and address; raises EmbeddedStackError."""

    def stop(self) -> None:
        """Stop in order; does nothing if it does not run."""


class ServiceProcess:
    """One service: a command, its environment, and optionally the port of its HTTP interface."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        watchdog: Watchdog,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        http_port: int | None = None,
    ) -> None:
        """Nothing is started yet."""
        self.name = name
        self.log_path = log_path
        self.http_port = http_port
        self._command = tuple(command)
        self._environment = dict(environment or {})
        self._folder = folder
        self._watchdog = watchdog
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """Process id while running, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self._process is not None and self._process.running

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while running or before the first start."""
        return self._process.exit_code if self._process is not None else None

    def start(self) -> None:
        """Start the process and return at once. Does nothing if running."""
        if not self.running:
            self._process = ChildProcess(
                self._command,
                log_path=self.log_path,
                watchdog=self._watchdog,
                environment=self._environment,
                folder=self._folder,
            )

    def wait_ready(self) -> None:
        """Block until GET /health/ready answers 200. Raises ComponentStartError."""
        deadline = time.monotonic() + _SERVICE_START_SECONDS
        while not is_ready(self.http_port):
            if not self.running:
                reason = f"its process ended with code {self.exit_code}"
                raise ComponentStartError(self.name, reason, self.log_path)
            if time.monotonic() > deadline:
                reason = f"it was not ready within {_SERVICE_START_SECONDS:.0f} s"
                raise ComponentStartError(self.name, reason, self.log_path)
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace time."""
        if self._process is not None:
            self._process.stop(_SERVICE_GRACE_SECONDS)


def is_ready(http_port: int | None) -> bool:
    """True if GET /health/ready on this port of 127.0.0.1 answers 200 (or there is no port)."""
    if http_port is None:
        return True
    connection = http.client.HTTPConnection(LOOPBACK, http_port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class _Watched:
    name: str
    component: Component
    is_store: bool
    backoff: float = _FIRST_BACKOFF_SECONDS
    steady_at: float = 0.0
    restart_at: float | None = field(default=None)


class Supervisor:
    """Watches components in tiers; a later tier depends on the earlier ones.

    Whoever adds a component starts it first; the supervisor starts it again when it ends. Every
    such restart is logged; that of a store (Kafka, PostgreSQL) as an error, for it is never normal.
    """

    def __init__(self, watchdog: Watchdog, on_restart: Callable[[], None] | None = None) -> None:
        """`on_restart` is called after each restart, on another thread, never twice at a time."""
        self._watchdog = watchdog
        self._on_restart = on_restart or (lambda: None)
        self._tiers: list[list[_Watched]] = []
        self._stopping = threading.Event()
        self._restarted = threading.Lock()
        self._threads: list[threading.Thread] = []

    def add_tier(self, components: Mapping[str, Component], *, stores: bool = False) -> None:
        """Components that are stopped together, before every tier added earlier."""
        self._tiers.append([_Watched(name, one, stores) for name, one in components.items()])

    def watch(self) -> None:
        """Begin to restart what ends.

        A thread for each: a store that takes long to recover keeps nobody else waiting.
        """
        for watched in (one for tier in self._tiers for one in tier):
            thread = threading.Thread(
                target=self._run,
                args=(watched,),
                name=f"watch-{watched.name}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop watching, then every tier, the last one added first; raises nothing."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for tier in reversed(self._tiers):
            together([one.component.stop for one in tier])

    def _run(self, watched: _Watched) -> None:
        while not self._stopping.wait(_CHECK_SECONDS):
            self._watchdog.open()
            self._check(watched)

    def _check(self, watched: _Watched) -> None:
        now = time.monotonic()
        if watched.component.running:
            if now > watched.steady_at:
                watched.backoff = _FIRST_BACKOFF_SECONDS
            return
        if watched.restart_at is None:
            watched.restart_at = now + watched.backoff
            level = logging.ERROR if watched.is_store else logging.WARNING
            _log.log(
                level,
                "%s ended with code %s; restarting it on the same data in %.1f s",
                watched.name,
                watched.component.exit_code,
                watched.backoff,
            )
        if now >= watched.restart_at:
            self._restart(watched)

    def _restart(self, watched: _Watched) -> None:
        watched.restart_at = None
        watched.backoff = min(watched.backoff * 2, _LONGEST_BACKOFF_SECONDS)
        watched.steady_at = time.monotonic() + _STEADY_SECONDS
        try:
            watched.component.start()
        except EmbeddedStackError as error:
            _log.warning("%s could not be restarted: %s", watched.name, error)
            return
        _log.warning("%s was restarted with pid %s", watched.name, watched.component.pid)
        with self._restarted:
            self._on_restart()


def together(calls: Sequence[Callable[[], object]]) -> None:
    """Run the calls at the same time; return when all have ended, raising the first error.

    The threads are daemons: an interrupted caller does not wait for a download.
    """
    errors: list[BaseException] = []

    def guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
