"""What can go wrong with the embedded stack, each with the next step in its message."""

from __future__ import annotations

from pathlib import Path


class EmbeddedStackError(RuntimeError):
    """A part of the embedded stack cannot do what was asked; the message says what to do next."""


class ComponentStartError(EmbeddedStackError):
    """A process did not become ready; carries the last lines of its log."""

    def __init__(self, component: str, reason: str, log_path: Path | None) -> None:
        self.component = component
        self.reason = reason
        self.log_path = log_path
        self.log_tail = last_lines(log_path, 20) if log_path is not None else ""
        message = f"{component} did not start: {reason}."
        if log_path is not None:
            message += f" Read {log_path}"
            message += f"; its last lines:\n{self.log_tail}" if self.log_tail else " (it is empty)."
        super().__init__(message)


class PortTakenError(EmbeddedStackError):
    """A port that must be kept is held by another process."""

    def __init__(self, component: str, port: int) -> None:
        self.port = port
        super().__init__(
            f"{component} needs port {port} on 127.0.0.1, but another process listens there. "
            f"Stop that process (`ss -ltnp | grep {port}` names it) or choose another port."
        )


class NamespaceForbiddenError(EmbeddedStackError):
    """PostgreSQL refuses to run as root and this system forbids the user namespace around it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "PostgreSQL does not run as root, and `unshare --user` is not permitted here "
            f"({reason}). Run the command as an ordinary user, or allow user namespaces "
            "(for a container: --security-opt seccomp=unconfined)."
        )


class DistributionUnavailableError(EmbeddedStackError):
    """Apache Kafka's jars could not be downloaded."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Apache Kafka's jars could not be downloaded from Maven Central: {reason}. "
            "Check the network or the proxy settings (HTTPS_PROXY), then run the command again; "
            "what was already downloaded is kept."
        )


class DatabaseCommandError(EmbeddedStackError):
    """A PostgreSQL tool ended with an error."""

    def __init__(self, tool: str, output: str) -> None:
        super().__init__(f"{tool} failed: {output.strip() or 'it printed nothing'}")


class WrongStateError(EmbeddedStackError):
    """The call needs the process to be running, or stopped, and it is not."""


def last_lines(path: Path, count: int) -> str:
    """The last `count` lines of a text file, at most 64 KiB; empty if there is no such file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 65_536))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])
