"""Settings of the tracker."""

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class TrackerSettings(ServiceSettings):
    """`access_code_keys` and `signing_keys` as in intake; the tokens are bearer tokens of staff (none: no access).

    `administration_tokens` maps the code of an administration to its token: it sees only what it holds.
    `own_frontends` are addresses that many citizens share because we put them behind it (portal, telephone desk):
    failures are not counted against these. The client's address is taken from `X-Forwarded-For` where uvicorn trusts
    the peer (`FORWARDED_ALLOW_IPS`).
    """

    access_code_keys: dict[str, str] = Field(min_length=1)
    signing_keys: dict[str, str] = Field(min_length=1)
    operations_token: SecretStr | None = None
    auditor_token: SecretStr | None = None
    administration_tokens: dict[str, SecretStr] = Field(default_factory=dict)
    own_frontends: tuple[str, ...] = ("127.0.0.1", "::1")
    failures_per_reference: int = Field(default=10, ge=1, description="Wrong codes an hour for one reference.")
    failures_per_client: int = Field(default=60, ge=1, description="Wrong references or codes an hour for one client.")
