"""Child processes that never outlive their owner, and free TCP ports for them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.errors import EmbeddedStackError, PortTakenError
from deploy.local.watchdog import MARK, Watchdog, wait_until_gone

LOOPBACK = "127.0.0.1"

# Below the range from which systems take ports for outgoing connections (32768 and up): a client
# that keeps trying to reach a stopped server on a port of that range may connect to itself and so
# take the server's port away.
_PORTS = range(20_000, 32_000)

_LOG_BYTES = 20 << 20


def port_is_free(port: int) -> bool:
    """True if a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """True if something accepts connections on this port of 127.0.0.1."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), timeout=1),
    ):
        return True
    return False


def free_port() -> int:
    """A port of 127.0.0.1, taken at random, on which nothing listens."""
    for port in random.SystemRandom().sample(_PORTS, 200):
        if port_is_free(port):
            return port
    raise EmbeddedStackError(f"No free port found between {_PORTS.start} and {_PORTS.stop}; stop unused servers.")


def kept_port(file: Path, given: int | None, component: str, *, preferred: int | None = None) -> int:
    """The port to use: `given`; else the first free of the one in `file`, `preferred`, any.

    Remembers the answer in `file`. Raises PortTakenError if `given` is not free.
    """
    if given is not None:
        if not port_is_free(given):
            raise PortTakenError(component, given)
        port = given
    else:
        remembered = file.read_text().strip() if file.exists() else ""
        wanted = [int(remembered)] if remembered.isdigit() else []
        wanted += [preferred] if preferred is not None else []
        port = next((one for one in wanted if port_is_free(one)), None) or free_port()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{port}\n")
    return port


class ChildProcess:
    """One process in a session of its own, its output appended to a log file.

    It holds no descriptor of the terminal, so Ctrl-C does not reach it, and the watchdog ends it
    when its owner dies. Signals also reach the processes it started.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        watchdog: Watchdog,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        niceness: int = 0,
    ) -> None:
        """Start the process at once; `environment` is added to the owner's own."""
        self._watchdog = watchdog
        self._stop_signal = stop_signal
        watchdog.open()
        _rotate(log_path)
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {}), MARK: watchdog.mark},
                cwd=folder,
                start_new_session=True,
            )
        watchdog.watch(self._popen.pid, stop_signal)
        if niceness:
            with contextlib.suppress(psutil.Error):
                psutil.Process(self.pid).nice(niceness)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while running; minus the signal's number if a signal ended it."""
        code = self._popen.poll()
        if code is not None:
            self._watchdog.forget(self.pid)
        return code

    @property
    def running(self) -> bool:
        """True until the process has ended (a paused process is running)."""
        return self.exit_code is None

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for its end; True if it ended in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_seconds)
        return not self.running

    def stop(self, grace_seconds: float) -> None:
        """Ask it to end, wait, SIGKILL after the grace time. Does nothing if it has ended."""
        self._end(self._stop_signal, grace_seconds)

    def kill(self) -> None:
        """SIGKILL it and what it started; returns when all of them are gone."""
        self._end(signal.SIGKILL, 5)

    def pause(self) -> None:
        """SIGSTOP it, then what it started (a stopped process starts no more)."""
        self._popen.send_signal(signal.SIGSTOP)
        _signal_each(self._descendants(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT what it started, then itself."""
        _signal_each(self._descendants(), signal.SIGCONT)
        self._popen.send_signal(signal.SIGCONT)

    def _end(self, first: signal.Signals, grace_seconds: float) -> None:
        if self.running:
            descendants = self._descendants()
            self._popen.send_signal(first)
            if first is signal.SIGKILL:
                _signal_each(descendants, signal.SIGKILL)
            self._popen.send_signal(signal.SIGCONT)
            try:
                self._popen.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
            _signal_each(descendants, signal.SIGKILL)
            wait_until_gone(descendants, 5)
        self._watchdog.forget(self.pid)

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def _rotate(log_path: Path) -> None:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if log_path.stat().st_size > _LOG_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))


def _signal_each(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
