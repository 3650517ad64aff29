"""Settings of the dispatcher."""

from pathlib import Path

from shared.runtime.settings import ServiceSettings


class DispatcherSettings(ServiceSettings):
    """`policy` is a file with the days of the law and of the promise; without it, the project's own."""

    policy: Path | None = None
