"""Ends the child processes of an owner that died without stopping them (even by SIGKILL).

The owner holds the write end of a pipe and tells its children's pids through it; the watchdog, a
small process in a session of its own, holds the read end. End of file means that the owner is gone.

The watchdog runs this very file as a script, isolated (`python -I`), so the file imports nothing of
the project.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator

import psutil

MARK = "CHIKAYA_WATCHDOG_MARK"
"""Environment variable given to every child: finds one that was born but not yet told."""

GRACE_SECONDS = 8.0
_OWNER_CHECK_SECONDS = 2.0
_KILL_SECONDS = 5.0
_SAME_START_SECONDS = 2.0


def process_at(pid: int, created: float) -> psutil.Process | None:
    """The live process with this pid and start time, or None (gone, a zombie, or the pid reused).

    Start times of one process read by two others may differ a little when the clock is adjusted.
    """
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - created) > _SAME_START_SECONDS:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def end_processes(processes: dict[psutil.Process, int], grace_seconds: float) -> None:
    """Send each process its gentle signal, in the given order; SIGKILL what is left after grace.

    Descendants that outlive their parent are ended too. Never raises for a process that is gone.
    """
    everyone = set(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            everyone.update(process.children(recursive=True))
    for process, gentle in processes.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(gentle)
            process.send_signal(signal.SIGCONT)
    alive = wait_until_gone(everyone, grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until_gone(alive, _KILL_SECONDS)


def wait_until_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Wait for processes that need not be children; returns those still alive at the end.

    A zombie counts as gone: its adoptive parent may be slow to reap it.
    """
    deadline = time.monotonic() + timeout_seconds
    alive = [process for process in processes if _is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if _is_alive(process)]
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Watchdog:
    """The owner's side: starts the watchdog process and tells it which children to end.

    Thread-safe. `close()` ends the watchdog process, and with it any child still watched.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._watched: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The watchdog process, or None while it does not run."""
        return self._process.pid if self._process is not None else None

    def open(self) -> None:
        """Start the watchdog process, unless it runs already."""
        with self._lock:
            self._open()

    def watch(self, pid: int, gentle_signal: int) -> None:
        """From now on, end process `pid` when the owner dies."""
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        line = json.dumps({"watch": pid, "created": created, "signal": int(gentle_signal)})
        with self._lock:
            self._watched[pid] = line
            self._open()
            if not self._send(line):
                # It was killed this moment: its successor learns every child.
                self._abandon()
                self._open()

    def forget(self, pid: int) -> None:
        """The process was ended and reaped by its owner."""
        with self._lock:
            if self._watched.pop(pid, None) is not None:
                self._send(json.dumps({"forget": pid}))

    def close(self) -> None:
        """End the watchdog process, and any child still watched."""
        with self._lock:
            process, self._process = self._process, None
            self._watched.clear()
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _open(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._abandon()
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(os.getpid()), self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        for line in self._watched.values():
            self._send(line)

    def _abandon(self) -> None:
        """Let go of a watchdog process that somebody killed."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
        self._process = None

    def _send(self, line: str) -> bool:
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            return False
        return True


def _lines_until_owner_dies(owner_pid: int) -> Iterator[bytes]:
    """Lines from the pipe; ends at end of file, or when the parent is no longer the owner.

    The second check is for a stray process that inherited the pipe's write end by a bare fork.
    """
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], _OWNER_CHECK_SECONDS)
        if not readable:
            # Only now: what a dying owner still wrote must be read first.
            if os.getppid() != owner_pid:
                return
            continue
        chunk = os.read(0, 65_536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield process


def _watch_over(owner_pid: int, mark: str) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watched: dict[int, tuple[psutil.Process, int]] = {}
    for line in _lines_until_owner_dies(owner_pid):
        message = json.loads(line)
        if "forget" in message:
            watched.pop(message["forget"], None)
            continue
        process = process_at(message["watch"], message["created"])
        if process is not None:
            watched[process.pid] = (process, message["signal"])
    last_started_first = {process: gentle for process, gentle in reversed(watched.values())}
    for process in _marked(mark):
        last_started_first.setdefault(process, signal.SIGTERM)
    end_processes(last_started_first, GRACE_SECONDS)


if __name__ == "__main__":
    _watch_over(int(sys.argv[1]), sys.argv[2])
