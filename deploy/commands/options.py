"""What several commands have in common: the data folder and the running stack in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.errors import EmbeddedStackError
from deploy.local.state import StackState, read_state

CHECKOUT = Path(__file__).resolve().parents[2]

DataFolder = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="CHIKAYA_DATA",
        help="Folder that keeps the data, logs and ports of one stack.",
        show_default=".chikaya/data in the checkout",
    ),
]
DEFAULT_DATA = CHECKOUT / ".chikaya" / "data"


class StackNotRunningError(EmbeddedStackError):
    """No stack runs on the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"No stack runs on {folder}. Start it with `./chikaya up`.")


def terminal() -> Console:
    """Standard output, with colours only on a terminal."""
    # A pipe or a file has no width: let no name be cut there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def running_state(folder: Path) -> StackState:
    """The state of the stack that runs on the folder; raises StackNotRunningError."""
    state = read_state(folder)
    if state is None or state.supervisor.process() is None:
        raise StackNotRunningError(folder)
    return state
