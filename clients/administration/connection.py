"""How an administration reaches Chikaya: what it was handed over when it came on board."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class KafkaFailed(Exception):
    """Kafka was not reached or refused: check address, name, password and rights, then try again."""


@dataclass(frozen=True)
class Connection:
    """Addresses, name and secrets of one administration. Without `ca`, `tls` trusts the system's authorities."""

    code: str
    bootstrap_servers: str
    dispatcher_url: str
    principal: str
    password: str
    token: str
    tls: bool = False
    ca: Path | None = None

    @classmethod
    def read(cls, file: Path, *, tls: bool = False, ca: Path | None = None) -> "Connection":
        """From the file of credentials. Raises OSError, and ValueError for a file that is none."""
        held = json.loads(file.read_text())
        names = ("code", "bootstrap_servers", "dispatcher_url", "principal", "password", "token")
        try:
            return cls(**{name: held[name] for name in names}, tls=tls, ca=ca)
        except (KeyError, TypeError) as missing:
            raise ValueError(f"{file} is no file of credentials: {missing} is missing") from missing

    @property
    def topics(self) -> tuple[str, str]:
        """Inbox and rejections."""
        return f"administrations.{self.code}.inbox", f"administrations.{self.code}.rejected"

    @property
    def outbox(self) -> str:
        return f"administrations.{self.code}.outbox"

    def kafka(self) -> dict[str, Any]:
        """aiokafka's settings."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": "SASL_SSL" if self.tls else "SASL_PLAINTEXT",
            "ssl_context": ssl.create_default_context(cafile=self.ca) if self.tls else None,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.principal,
            "sasl_plain_password": self.password,
        }
