"""The secrets of a local stack: each is made once, kept in the stack's folder (mode 600), and read from there."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from deploy.local.folders import write_private
from shared.runtime.client_credentials import ClientCredentials

_MADE: dict[str, Callable[[], str]] = {
    "access-code-keys.json": lambda: json.dumps({"k1": secrets.token_hex(32)}),
    "development-secret": lambda: secrets.token_hex(32),
    "officer-tokens.json": lambda: json.dumps({"officer-1": secrets.token_urlsafe(32)}),
    "operations-token": lambda: secrets.token_urlsafe(32),
    "provisioner-token": lambda: secrets.token_urlsafe(32),
    "signing-keys.json": lambda: json.dumps({"local-1": secrets.token_hex(32)}),
}
FILES = tuple(_MADE)
"""The files in the stack's folder."""


def access_code_keys(folder: Path) -> str:
    """The keys of citizens' access codes, as a JSON object."""
    return _kept(folder, "access-code-keys.json")


def signing_keys(folder: Path) -> str:
    """The private key that signs receipts and statements, as a JSON object."""
    return _kept(folder, "signing-keys.json")


def officer_tokens(folder: Path) -> str:
    """The bearer tokens of triage officers, as a JSON object."""
    return _kept(folder, "officer-tokens.json")


def operations_token(folder: Path) -> str:
    """The bearer token of operations on the tracker and the dispatcher."""
    return _kept(folder, "operations-token")


def provisioner_token(folder: Path) -> str:
    """The bearer token of the provisioner on the dispatcher."""
    return _kept(folder, "provisioner-token")


def development_secret(folder: Path) -> str:
    """The secret of the development issuer and of its clients (64 hex digits)."""
    return _kept(folder, "development-secret")


def development_client(folder: Path, intake: str) -> ClientCredentials:
    """What intake of a running stack takes from a command of this machine."""
    return ClientCredentials(f"{intake}/v1/development/token", "demo", development_secret(folder))


def _kept(folder: Path, name: str) -> str:
    file = folder / name
    if not file.exists():
        write_private(file, _MADE[name]() + "\n")
    return file.read_text().strip()
