"""Settings of the tracker."""

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class TrackerSettings(ServiceSettings):
    """`access_code_keys` as in intake; `operations_token` is the bearer token of operations (none: no access)."""

    access_code_keys: dict[str, str] = Field(min_length=1)
    operations_token: SecretStr | None = None
