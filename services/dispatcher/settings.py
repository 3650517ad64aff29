"""Settings of the dispatcher."""

from pathlib import Path

from pydantic import SecretStr

from shared.runtime.settings import ServiceSettings


class DispatcherSettings(ServiceSettings):
    """`policy` is a file with the days of the law and of the promise; without it, the project's own.

    `operations_token` is the bearer token of operations, `provisioner_token` that of the provisioner (none: no access).
    """

    policy: Path | None = None
    operations_token: SecretStr | None = None
    provisioner_token: SecretStr | None = None
