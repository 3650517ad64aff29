"""`./chikaya receipt`: check what a citizen holds in hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from deploy.commands.options import DEFAULT_DATA, DataFolder, terminal
from deploy.local.errors import EmbeddedStackError
from deploy.local.secrets import signing_keys
from shared.contracts.statements import RECEIPT
from shared.runtime.signatures import KeySetDocument, SignatureInvalid, Signer, find_signed, verified

application = typer.Typer(help="Receipts of complaints.", no_args_is_help=True)


class ReceiptRefused(EmbeddedStackError):
    """The receipt proves nothing."""


@application.callback()
def receipts() -> None:
    """Receipts of complaints."""


@application.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt: PDF, JSON, or the signed text alone.", exists=True)],
    *,
    keys: Annotated[
        str | None,
        typer.Option(help="The public keys: a saved copy of intake's /v1/keys, or its URL; else the local stack's."),
    ] = None,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Check a receipt's signature, without asking the service, and print what it proves.

    What counts is what is printed here: compare it with what is written on the paper.
    """
    try:
        claims = verified(find_signed(file.read_bytes()), RECEIPT, _key_set(keys, data.absolute()))
    except SignatureInvalid as error:
        raise ReceiptRefused(f"{file} is not a valid receipt: {error}.") from error
    console = terminal()
    console.print(f"Valid. {claims['iss']} received complaint {claims['sub']} at {claims['received_at']}.")
    console.print(f"SHA-256 of what was filed: {claims['content_sha256']}", soft_wrap=True)


def _key_set(keys: str | None, folder: Path) -> KeySetDocument:
    if keys is None:
        if not (folder / "signing-keys.json").exists():
            raise ReceiptRefused("there is no local stack to take the public keys from: give them with --keys.")
        private = json.loads(signing_keys(folder))
        return Signer({key_id: bytes.fromhex(secret) for key_id, secret in private.items()}).key_set
    document: dict[str, Any]
    try:
        document = httpx.get(keys, timeout=10).json() if "://" in keys else json.loads(Path(keys).read_text())
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise ReceiptRefused(f"the public keys cannot be read from {keys}: {error}") from error
    return document
