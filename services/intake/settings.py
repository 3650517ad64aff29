"""Settings of intake."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.runtime.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """`access_code_keys` maps key ids to hexadecimal secrets; the last one is used for new complaints.

    `signing_keys` maps key ids to hexadecimal Ed25519 private keys, and the last one signs receipts; `retired_keys`
    maps the ids of those that are gone to their public keys, so that old receipts can still be checked.

    `token_issuer` and `token_keys` (an https URL of its JWKS, or a file) say whose access tokens are taken;
    `filing_without_client` lets anyone post who shows neither a token nor an API key.
    `attachments_folder` must be one that all instances see; `clamd` is host:port of ClamAV's daemon.
    The limits are those of one instance; a person is known by phone or e-mail.
    `development_clients` maps client ids to secrets for the development issuer, whose key is `development_key`.
    """

    environment: Literal["production", "development"] = "production"
    access_code_keys: dict[str, str] = Field(min_length=1)
    signing_keys: dict[str, str] = Field(min_length=1)
    retired_keys: dict[str, str] = Field(default_factory=dict)
    token_issuer: str | None = None
    token_audience: str = "https://chikaya.ma/intake"
    token_keys: str | None = None
    filing_without_client: bool = False
    attachments_folder: Path
    clamd: str | None = Field(default=None, pattern=r"^[^:]+:[0-9]+$")
    client_requests_a_minute: int = Field(default=60_000, ge=1)
    person_requests_an_hour: int = Field(default=30, ge=1)
    development_clients: dict[str, str] = Field(default_factory=dict)
    development_key: str | None = None

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if (self.token_issuer is None) != (self.token_keys is None):
            raise ValueError("set CHIKAYA_TOKEN_ISSUER and CHIKAYA_TOKEN_KEYS together")
        if self.token_keys and "://" in self.token_keys and not self.token_keys.startswith("https://"):
            raise ValueError("CHIKAYA_TOKEN_KEYS must be an https URL or a file")
        if self.development_clients and (self.environment != "development" or self.token_issuer is not None):
            raise ValueError("the development issuer works in CHIKAYA_ENVIRONMENT=development only, and alone")
        if self.development_clients and self.development_key is None:
            raise ValueError("the development issuer needs CHIKAYA_DEVELOPMENT_KEY")
        return self
