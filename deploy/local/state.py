"""What a running stack tells other processes: `stack.json`, readable by its owner only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from deploy.local.watchdog import process_at


@dataclass(frozen=True)
class ProcessRecord:
    """One process of the stack; pid and start time together identify it."""

    name: str
    pid: int
    created: float
    address: str
    http_port: int | None = None

    @classmethod
    def of(cls, name: str, pid: int, address: str = "", http_port: int | None = None) -> ProcessRecord:
        """Record a process that lives now (start time 0 if it ended a moment ago)."""
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            created = 0.0
        return cls(name, pid, created, address, http_port)

    def process(self) -> psutil.Process | None:
        """The process, or None if it is gone (or its pid belongs to another one now)."""
        return process_at(self.pid, self.created)


@dataclass(frozen=True)
class StackState:
    """The stack as its supervisor last wrote it."""

    phase: Literal["starting", "ready"]
    supervisor: ProcessRecord
    bootstrap_servers: str = ""
    administrations_servers: str = ""
    databases: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[ProcessRecord, ...] = ()

    @property
    def addresses(self) -> dict[str, str]:
        """Address by process name."""
        return {process.name: process.address for process in self.processes}

    def write(self, folder: Path) -> None:
        """Replace `stack.json` at once: a reader never sees half a file."""
        partial = folder / "stack.json.partial"
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        partial.replace(folder / "stack.json")


def read_state(folder: Path) -> StackState | None:
    """The recorded state, or None if there is none (or it is not readable as one)."""
    try:
        content = json.loads((folder / "stack.json").read_text())
        return StackState(
            phase=content["phase"],
            supervisor=ProcessRecord(**content["supervisor"]),
            bootstrap_servers=content["bootstrap_servers"],
            administrations_servers=content["administrations_servers"],
            databases=content["databases"],
            processes=tuple(ProcessRecord(**one) for one in content["processes"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def remove_state(folder: Path) -> None:
    """Forget the recorded state."""
    (folder / "stack.json").unlink(missing_ok=True)
