"""Settings of the notifier."""

from typing import Literal

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    """`access_code_keys` as in intake; `operations_token` is the bearer token of operations (none: no access).

    Without `smtp_host` e-mails, without `smpp_host` short messages are only logged. `operations_email` gets the
    escalations and `administration_emails` (by code) the reminders; without an address nobody is sent them.
    """

    access_code_keys: dict[str, str] = Field(min_length=1)
    operations_token: SecretStr | None = None
    portal_url: str = "https://chikaya.ma"
    operations_email: str | None = None
    administration_emails: dict[str, str] = Field(default_factory=dict)

    retry_seconds: float = Field(default=5.0, gt=0, description="The wait after a first failure; it doubles.")
    patience_hours: float = Field(default=24.0, gt=0, description="A message that old is given up on its channel.")
    attempt_seconds: float = Field(default=25.0, gt=0, description="An answer that late counts as lost.")

    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "ne-pas-repondre@chikaya.ma"
    smtp_unsubscribe: str = "mailto:desinscription@chikaya.ma?subject=unsubscribe"
    smtp_connections: int = Field(default=16, gt=0)

    smpp_host: str | None = None
    smpp_port: int = 2775
    smpp_tls: bool = False
    smpp_system_id: str = "chikaya"
    smpp_password: SecretStr = SecretStr("")
    smpp_system_type: str = ""
    smpp_source: str = Field(default="Chikaya", max_length=11, description="The sender shown: alphanumeric.")
    smpp_concatenation: Literal["udh", "sar"] = "udh"
    smpp_window: int = Field(default=64, gt=0, description="Messages without an answer at a time.")
