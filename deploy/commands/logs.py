"""`logs`: what the processes of the stack wrote."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import DEFAULT_DATA, DataFolder
from deploy.local.errors import EmbeddedStackError, last_lines

_POLL_SECONDS = 0.25


def logs(
    service: Annotated[
        str | None,
        typer.Argument(
            help="A service, kafka, postgres or supervisor; without one: all of them.",
            show_default=False,
        ),
    ] = None,
    *,
    data: DataFolder = DEFAULT_DATA,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with what is written from now on."),
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines to show of each file.")] = 50,
) -> None:
    """Print the last lines of one log, or of all with the name before each line."""
    files = _log_files(data.absolute() / "logs", service)
    for file in files:
        for line in last_lines(file, lines).splitlines() if lines else ():
            _print_line(file, line, prefixed=len(files) > 1)
    if follow:
        try:
            _follow(files)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _log_files(folder: Path, service: str | None) -> list[Path]:
    present = sorted(folder.glob("*.log"))
    if service is None:
        if present:
            return present
        raise EmbeddedStackError(f"There are no logs in {folder}. Start with `./chikaya up`.")
    wanted = [file for file in present if file.stem == service]
    if not wanted:
        names = ", ".join(file.stem for file in present) or "none"
        raise EmbeddedStackError(f"There is no log of {service!r}; there are: {names}.")
    return wanted


def _follow(files: list[Path]) -> None:
    positions = {file: file.stat().st_size for file in files}
    while True:
        for file, position in positions.items():
            size = file.stat().st_size if file.exists() else 0
            if size == position:
                continue
            with file.open("rb") as opened:
                # A shorter file was begun anew.
                opened.seek(position if size > position else 0)
                text = opened.read()
            complete, newline, _ = text.rpartition(b"\n")
            for line in complete.decode("utf-8", errors="replace").splitlines():
                _print_line(file, line, prefixed=len(files) > 1)
            start = position if size > position else 0
            positions[file] = start + len(complete) + len(newline)
        time.sleep(_POLL_SECONDS)


def _print_line(file: Path, line: str, *, prefixed: bool) -> None:
    typer.echo(f"{file.stem:>11} | {line}" if prefixed else line)
