"""`up`, `down` and `status`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.options import (
    CHECKOUT,
    DEFAULT_DATA,
    DataFolder,
    StackNotRunningError,
    running_state,
    terminal,
)
from deploy.local.errors import EmbeddedStackError, last_lines
from deploy.local.kafka_distribution import Progress
from deploy.local.processes import port_answers
from deploy.local.stack import LocalStack, StackAlreadyRunningError, end_leftovers
from deploy.local.state import ProcessRecord, StackState, read_state
from deploy.local.supervision import is_ready
from deploy.local.watchdog import process_at

_DETACHED_START_SECONDS = 600.0
_STOP_SECONDS = 120.0
_STORES = ("kafka", "postgres")


def up(
    data: DataFolder = DEFAULT_DATA,
    *,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when everything is ready; end with `down`."),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the kept data away first.")] = False,
) -> None:
    """Start Kafka, PostgreSQL and the services; stay until Ctrl-C.

    Data is kept between runs. The first run on a machine downloads about 44 MiB.
    """
    folder = data.absolute()
    if detach:
        start_detached(folder, fresh=fresh)
        return
    console = terminal()
    began = time.monotonic()
    stack = LocalStack(folder, on_progress=lambda line: reporting(line))
    with _signals_interrupt():
        try:
            with progress_shown(console, "starting") as reporting:
                stack.start(fresh=fresh)
            _print_addresses(
                console, stack.addresses, stack.kafka.bootstrap_servers, stack.kafka.administrations_servers
            )
            console.print(f"Ready in {time.monotonic() - began:.1f} s. Stop with Ctrl-C.")
            while True:
                signal.pause()
        except KeyboardInterrupt:
            with _signals_ignored(), progress_shown(console, "stopping"):
                stack.stop()
            console.print("Stopped; the data is kept.")


def down(data: DataFolder = DEFAULT_DATA) -> None:
    """Stop a stack, started here or in another terminal; its data is kept."""
    folder = data.absolute()
    state = read_state(folder)
    if state is None:
        raise StackNotRunningError(folder)
    console = terminal()
    supervisor = state.supervisor.process()
    with progress_shown(console, "stopping"):
        if supervisor is not None:
            supervisor.terminate()
            _wait_until_gone(state.supervisor)
        # A supervisor that crashed left its record, and perhaps processes, behind.
        end_leftovers(folder)
    console.print("Stopped; the data is kept.")


def status(data: DataFolder = DEFAULT_DATA) -> None:
    """Show every process; exit code 0 only if all of them are up."""
    folder = data.absolute()
    console = terminal()
    state = running_state(folder)
    table = Table("process", "state", "pid", "address", "memory")
    table.columns[4].justify = "right"
    all_up = state.phase == "ready"
    total = 0
    for record in (*state.processes, state.supervisor):
        condition = _condition(record)
        memory = _memory(record)
        total += memory
        all_up = all_up and condition == "up"
        colour = "green" if condition == "up" else "red"
        pid = str(record.pid) if condition != "down" else ""
        table.add_row(
            record.name,
            f"[{colour}]{condition}[/]",
            pid,
            record.address,
            f"{memory >> 20} MiB",
        )
    table.add_section()
    table.add_row("total", "", "", "", f"{total >> 20} MiB")
    console.print(table)
    if state.phase != "ready":
        console.print("The stack is still starting.")
    if not all_up:
        raise typer.Exit(1)


def start_detached(folder: Path, *, fresh: bool) -> None:
    """Run `up` in a session of its own and wait for its word."""
    state = read_state(folder)
    if state is not None and state.supervisor.process() is not None:
        raise StackAlreadyRunningError(folder)
    output = folder / "logs" / "up.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deploy.command_line", "up", "--data", str(folder)]
    console = terminal()
    with output.open("wb") as log:
        child = subprocess.Popen(
            [*command, *(["--fresh"] if fresh else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=CHECKOUT,
            start_new_session=True,
        )
    with progress_shown(console, "starting") as reporting:
        ready = _wait_until_ready(folder, child, output, reporting)
    if ready is None:
        child.terminate()
        reason = last_lines(output, 30).partition("chikaya: ")[2] or last_lines(output, 30)
        raise EmbeddedStackError(reason or f"The stack did not start; read {output}.")
    services = {one.name: one.address for one in ready.processes if one.http_port is not None}
    _print_addresses(console, services, ready.bootstrap_servers, ready.administrations_servers)
    console.print("Running in the background. Stop with `./chikaya down`.")


def _wait_until_ready(
    folder: Path, child: subprocess.Popen[bytes], output: Path, reporting: Progress
) -> StackState | None:
    deadline = time.monotonic() + _DETACHED_START_SECONDS
    shown = ""
    while child.poll() is None and time.monotonic() < deadline:
        state = read_state(folder)
        if state is not None and state.phase == "ready" and state.supervisor.pid == child.pid:
            return state
        line = last_lines(output, 1)
        # An error ends the child; it is raised once, not shown as progress too.
        if line and line != shown and not line.startswith("chikaya: "):
            shown = line
            reporting(line)
        time.sleep(0.05)
    return None


def _print_addresses(console: Console, services: dict[str, str], bootstrap: str, administrations: str) -> None:
    table = Table("service", "address")
    for name, address in services.items():
        table.add_row(name, address, style="bold" if name == "portal" else None)
    table.add_section()
    table.add_row("kafka", bootstrap)
    table.add_row("kafka, for administrations", administrations)
    console.print(table)


def _wait_until_gone(record: ProcessRecord) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    while process_at(record.pid, record.created) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedStackError(
                f"The supervisor (pid {record.pid}) did not end within {_STOP_SECONDS:.0f} s; "
                f"end it with `kill -9 {record.pid}`: its watchdog then ends the rest."
            )
        time.sleep(0.05)


def _condition(record: ProcessRecord) -> str:
    process = record.process()
    if process is None:
        return "down"
    if process.status() == psutil.STATUS_STOPPED:
        return "paused"
    if record.http_port is not None and not is_ready(record.http_port):
        return "not ready"
    if record.name in _STORES and not port_answers(int(record.address.rpartition(":")[2])):
        return "not ready"
    return "up"


def _memory(record: ProcessRecord) -> int:
    """Bytes of resident memory; of PostgreSQL with its back-ends, each shared page counted once."""
    process = record.process()
    if process is None:
        return 0
    family = [process] if record.name == "supervisor" else [process, *process.children(recursive=True)]
    total = 0
    for one in family:
        try:
            full = one.memory_full_info()
            total += int(getattr(full, "pss", full.rss))
        except psutil.Error:
            continue
    return total


@contextmanager
def progress_shown(console: Console, first: str) -> Iterator[Progress]:
    """Show what is being done: a spinner on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield lambda line: console.print(line, markup=False)
        return
    with console.status(first) as spinner:
        yield lambda line: spinner.update(line)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal do what Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the stop (SIGKILL still does; the watchdog remains)."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
