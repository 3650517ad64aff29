"""`./chikaya test`: every check of the project, in one command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import CHECKOUT

_CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("style", ["ruff", "check", "."]),
    ("format", ["ruff", "format", "--check", "."]),
    ("imports", ["lint-imports"]),
    ("types", ["mypy"]),
    ("tests", ["pytest", "-q", "-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--ignore", "tests/faults"]),
    ("faults", ["pytest", "-q", "tests/faults"]),
)
_PROGRAMS = Path(sys.executable).parent


def test(
    full: Annotated[bool, typer.Option("--full", help="Also the long versions of the heavy tests.")] = False,
) -> None:
    """Check style and types, then run the tests on a real Kafka and a real PostgreSQL."""
    for name, command in _CHECKS:
        typer.echo(f"== {name}: {' '.join(command)}")
        arguments = [*command, "--full"] if full and command[0] == "pytest" else command
        if subprocess.run([_PROGRAMS / arguments[0], *arguments[1:]], cwd=CHECKOUT, check=False).returncode != 0:
            typer.echo(f"chikaya: the {name} check failed; its output is above.", err=True)
            raise typer.Exit(1)
