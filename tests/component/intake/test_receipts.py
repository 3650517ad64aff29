"""Receipts prove what was received, offline, on screen and on paper, and go on doing so when keys change."""

import json
import zlib
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from deploy.command_line import build_application
from deploy.commands.receipts import ReceiptRefused
from shared.contracts.statements import RECEIPT
from shared.runtime.signatures import SignatureInvalid, Signer, find_signed, verified

FILING = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "web"}
SEED = b"7" * 32


async def filed(client: httpx.AsyncClient, text: str = "Aucun médecin") -> dict[str, str]:
    return dict((await client.post("/v1/complaints", json={**FILING, "text": text})).json())


async def again(client: httpx.AsyncClient, receipt: dict[str, str], accept: str) -> httpx.Response:
    headers = {"Access-Code": receipt["access_code"], "Accept": accept}
    return await client.get(f"/v1/complaints/{receipt['reference']}/receipt", headers=headers)


async def test_a_receipt_says_what_was_received_and_when(client: httpx.AsyncClient) -> None:
    keys = (await client.get("/v1/keys")).json()
    receipt, other = await filed(client), await filed(client, "Autre chose")
    claims = verified(receipt["receipt"], RECEIPT, keys)
    assert (claims["sub"], claims["received_at"]) == (receipt["reference"], receipt["received_at"])
    assert claims["content_sha256"] != verified(other["receipt"], RECEIPT, keys)["content_sha256"]
    assert receipt["access_code"] not in json.dumps(claims)
    assert "d" not in keys["keys"][0] and [key["kid"] for key in keys["keys"]] == ["old", "new"]


async def test_the_same_receipt_is_given_again_only_to_who_has_the_code(client: httpx.AsyncClient) -> None:
    receipt = await filed(client)
    answer = await again(client, receipt, "application/json")
    assert answer.json()["receipt"] == receipt["receipt"]
    assert answer.headers["cache-control"] == "no-store" and "access_code" not in answer.json()
    assert (await again(client, {**receipt, "access_code": "1"}, "application/pdf")).status_code == 404


async def test_the_printed_receipt_carries_the_signed_one(client: httpx.AsyncClient) -> None:
    receipt = await filed(client)
    answer = await again(client, receipt, "application/pdf, */*;q=0.1")
    assert answer.headers["content-type"] == "application/pdf" and answer.content.startswith(b"%PDF-")
    assert find_signed(answer.content) == receipt["receipt"]
    assert len(answer.content) < 100_000


async def test_a_receipt_is_verified_offline_from_any_of_its_forms(client: httpx.AsyncClient, tmp_path: Path) -> None:
    receipt = await filed(client)
    keys = tmp_path / "keys.json"
    keys.write_bytes((await client.get("/v1/keys")).content)
    forms = {
        "receipt.pdf": (await again(client, receipt, "application/pdf")).content,
        "receipt.json": (await again(client, receipt, "application/json")).content,
        "receipt.txt": receipt["receipt"].encode(),
    }
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        result = CliRunner().invoke(
            build_application(), ["receipt", "verify", str(tmp_path / name), "--keys", str(keys)]
        )
        assert result.exit_code == 0, result.output
        assert receipt["reference"] in result.output and receipt["received_at"] in result.output


def test_a_file_without_a_receipt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(dict(Signer({"k": SEED}).key_set)))
    (tmp_path / "photo.jpg").write_bytes(zlib.compress(b"nothing"))
    arguments = ["receipt", "verify", str(tmp_path / "photo.jpg"), "--keys", str(tmp_path / "keys.json")]
    result = CliRunner().invoke(build_application(), arguments)
    assert isinstance(result.exception, ReceiptRefused) and "no signed statement" in str(result.exception)


def test_what_an_old_key_signed_is_valid_while_the_key_is_published() -> None:
    signed = Signer({"1": SEED}).sign(RECEIPT, {"sub": "x"})
    rotated = Signer({"1": SEED, "2": b"8" * 32})
    public = Signer({"1": SEED}).key_set["keys"][0]["x"]
    assert verified(signed, RECEIPT, rotated.key_set) == {"sub": "x"}
    assert verified(rotated.sign(RECEIPT, {"sub": "y"}), RECEIPT, rotated.key_set) == {"sub": "y"}
    retired = Signer({"2": b"8" * 32}, {"1": _bytes(public)})
    assert verified(signed, RECEIPT, retired.key_set) == {"sub": "x"}
    with pytest.raises(SignatureInvalid):
        verified(signed, RECEIPT, Signer({"2": b"8" * 32}).key_set)


def test_forgeries_are_refused() -> None:
    keys = Signer({"1": SEED}).key_set
    signed = Signer({"1": SEED}).sign(RECEIPT, {"sub": "x"})
    header, claims, signature = signed.split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiY2hpa2F5YS1yZWNlaXB0K2p3dCJ9"
    forgeries = [
        f"{unsigned}.{claims}.",
        f"{header}.{claims[:-1]}A.{signature}",
        f"{header}.{claims}.{signature[::-1]}",
        Signer({"1": b"9" * 32}).sign(RECEIPT, {"sub": "x"}),
        Signer({"1": SEED}).sign("another-statement+jwt", {"sub": "x"}),
        "x",
        "",
    ]
    for forgery in forgeries:
        with pytest.raises(SignatureInvalid):
            verified(forgery, RECEIPT, keys)


def _bytes(base64url: str) -> bytes:
    return urlsafe_b64decode(base64url + "=")
