"""What an administration signs in with, kept in a folder that only its owner reads until it is handed over."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from deploy.local.folders import write_private


@dataclass(frozen=True)
class Credentials:
    """`principal` and `password` are for Kafka (SCRAM-SHA-512), `token` is the bearer token of the HTTP API."""

    code: str
    generation: int
    bootstrap_servers: str
    dispatcher_url: str
    principal: str
    password: str
    token: str

    @property
    def token_sha256(self) -> str:
        """What the dispatcher keeps of the token: 64 hex digits."""
        return sha256(self.token.encode()).hexdigest()

    @classmethod
    def read(cls, file: Path) -> Credentials:
        """Raises FileNotFoundError, and ValueError or TypeError for a file that is none of ours."""
        return cls(**json.loads(file.read_text()))


def principal_of(code: str) -> str:
    """The name an administration signs in to Kafka with."""
    return f"administration-{code}"


class CredentialsFolder:
    """One file `<code>.json` per administration.

    Written before Kafka learns of them: whoever is killed in between finds them again and makes no others.
    """

    def __init__(self, folder: Path, bootstrap_servers: str, dispatcher_url: str) -> None:
        self._folder = folder
        self._bootstrap_servers = bootstrap_servers
        self._dispatcher_url = dispatcher_url

    def of(self, code: str, generation: int) -> Credentials:
        """The credentials of a generation: those in the folder, else new ones that replace them."""
        file = self._folder / f"{code}.json"
        try:
            kept = Credentials.read(file)
            if kept.generation == generation:
                return kept
        except (FileNotFoundError, ValueError, TypeError):
            pass
        made = Credentials(
            code,
            generation,
            self._bootstrap_servers,
            self._dispatcher_url,
            principal_of(code),
            secrets.token_urlsafe(32),
            secrets.token_urlsafe(32),
        )
        partial = file.with_suffix(".partial")
        write_private(partial, json.dumps(asdict(made), indent=2) + "\n")
        partial.replace(file)
        return made

    def forget(self, code: str) -> None:
        """Deletes the file of an administration that left."""
        (self._folder / f"{code}.json").unlink(missing_ok=True)
