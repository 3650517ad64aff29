"""Settings of intake."""

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """`access_code_keys` maps key ids to hexadecimal secrets; the last one is used for new complaints.

    `signing_keys` maps key ids to hexadecimal Ed25519 private keys, and the last one signs receipts; `retired_keys`
    maps the ids of those that are gone to their public keys, so that old receipts can still be checked.
    """

    access_code_keys: dict[str, str] = Field(min_length=1)
    signing_keys: dict[str, str] = Field(min_length=1)
    retired_keys: dict[str, str] = Field(default_factory=dict)
