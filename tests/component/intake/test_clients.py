"""Who may post: tokens of the issuer for us and now, API keys until revoked, and nobody else in production."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from pydantic import ValidationError
from typer.testing import CliRunner

from deploy.command_line import build_application
from services.intake.settings import IntakeSettings
from shared.runtime.client_credentials import ClientCredentials

Serve = Callable[[IntakeSettings], AbstractAsyncContextManager[httpx.AsyncClient]]
FILING = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "web"}
ISSUER = "https://sso.example.ma"
AUDIENCE = "https://chikaya.ma/intake"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})


def claims(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    whole = {"iss": ISSUER, "aud": AUDIENCE, "client_id": "mobile", "scope": "complaints:file", "iat": now}
    return {**whole, "exp": now + timedelta(minutes=5), **changes}


def token(key: Any = RSA, algorithm: str = "RS256", kind: str = "at+jwt", **changes: Any) -> str:
    given = {name: value for name, value in claims(**changes).items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": kind}, given, key, algorithms=[algorithm])


def signed_with_the_public_key() -> str:
    """An HMAC whose secret is what everybody knows: joserfc does not make one, an attacker does."""
    header, body = ('{"alg":"HS256","kid":"rsa","typ":"at+jwt"}', token().split(".")[1])
    signed = f"{urlsafe_b64encode(header.encode()).decode().rstrip('=')}.{body}"
    mac = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.fixture
def production(settings: IntakeSettings, tmp_path: Path) -> IntakeSettings:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(KeySet([RSA, EC, ED]).as_dict(private=False)))
    changes = {"filing_without_client": False, "token_issuer": ISSUER, "token_keys": str(keys)}
    return settings.model_copy(update=changes)


async def post(client: httpx.AsyncClient, bearer: str | None, key: str = "k") -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {bearer}"} if bearer is not None else {})
    return await client.post("/v1/complaints", json=FILING, headers=headers)


async def test_tokens_of_the_issuer_are_taken(serve: Serve, production: IntakeSettings) -> None:
    async with serve(production) as client:
        for number, good in enumerate(
            (
                token(),
                token(EC, "ES256"),
                token(ED, "Ed25519"),
                token(kind="JWT", aud=["other", AUDIENCE], scope="openid complaints:file"),
            )
        ):
            assert (await post(client, good, str(number))).status_code == 201


async def test_everything_else_is_refused(serve: Serve, production: IntakeSettings) -> None:
    past = datetime.now(UTC) - timedelta(minutes=2)
    header, body, signature = token().split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"
    bad = {
        "nothing": None,
        "empty": "",
        "garbage": "x.y.z",
        "algorithm none": f"{none}.{body}.",
        "algorithm none, signed": f"{none}.{body}.{signature}",
        "HMAC over the public key": signed_with_the_public_key(),
        "another's key": token(STRANGER),
        "unknown key": token(RSAKey.generate_key(2048, {"kid": "new"})),
        "audience": token(aud="https://elsewhere.ma"),
        "no audience": token(aud=None),
        "issuer": token(iss="https://evil.example"),
        "no issuer": token(iss=None),
        "expired": token(exp=past),
        "no expiry": token(exp=None),
        "not yet": token(nbf=datetime.now(UTC) + timedelta(minutes=5)),
        "another kind of token": token(kind="chikaya-receipt+jwt"),
        "changed": f"{header}.{body[:-2]}AA.{signature}",
        "no client": token(client_id=None),
        "too long": token(padding="x" * 9000),
        "API key nobody has": "chk_nothing",
    }
    async with serve(production) as client:
        for name, bearer in bad.items():
            answer = await post(client, bearer)
            assert (name, answer.status_code) == (name, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        lacking = await post(client, token(scope="openid complaints:act"))
        assert lacking.status_code == 403 and "complaints:file" in lacking.headers["www-authenticate"]


async def test_keys_of_one_client_are_not_those_of_another(serve: Serve, production: IntakeSettings) -> None:
    async with serve(production) as client:
        first = await post(client, token())
        assert (await post(client, token())).json() == first.json()
        assert (await post(client, token(client_id="counter"))).json()["id"] != first.json()["id"]


async def test_each_thing_needs_its_scope(serve: Serve, production: IntakeSettings) -> None:
    async with serve(production) as client:
        receipt = (await post(client, token())).json()
        agent = {"Authorization": f"Bearer {token(scope='complaints:act receipts:verify')}"}
        acting = {**agent, "Access-Code": receipt["access_code"]}
        withdrawal = f"/v1/complaints/{receipt['reference']}/withdrawal"
        assert (await client.post(withdrawal, json={}, headers=acting)).status_code == 202
        told = await client.get(f"/v1/receipts/{receipt['reference']}", headers=agent)
        assert told.json() == {"reference": receipt["reference"], "received_at": receipt["received_at"]}
        assert (await client.get("/v1/receipts/26328-0000-0000-00", headers=agent)).status_code == 404
        filer = {"Authorization": f"Bearer {token()}", "Access-Code": receipt["access_code"]}
        assert (await client.post(withdrawal, json={}, headers=filer)).status_code == 403
        assert (await client.get(f"/v1/receipts/{receipt['reference']}", headers=filer)).status_code == 403


async def test_an_api_key_works_until_it_is_revoked(serve: Serve, production: IntakeSettings) -> None:
    def command(*arguments: str) -> str:
        result = CliRunner().invoke(build_application(), ["client", *arguments, "--database", production.database_url])
        assert result.exit_code == 0, result.exception
        return result.output.strip()

    api_key = await asyncio.to_thread(command, "add", "kiosk", "--scope", "complaints:file")
    async with serve(production) as client:
        assert (await post(client, api_key)).status_code == 201
        assert (await post(client, api_key + "x")).status_code == 401
    assert "kiosk" in await asyncio.to_thread(command, "list")
    assert api_key not in await asyncio.to_thread(command, "list")
    await asyncio.to_thread(command, "revoke", "kiosk")
    async with serve(production) as client:
        assert (await post(client, api_key)).status_code == 401


async def test_without_the_issuers_keys_it_is_a_503(serve: Serve, production: IntakeSettings) -> None:
    async with serve(production.model_copy(update={"token_keys": "/nowhere/jwks.json"})) as client:
        assert (await post(client, token())).status_code == 503


async def test_the_development_issuer_serves_its_clients(serve: Serve, settings: IntakeSettings) -> None:
    changes = {
        "filing_without_client": False,
        "environment": "development",
        "development_key": "09" * 32,
        "development_clients": {"portal": "secret"},
    }
    async with serve(settings.model_copy(update=changes)) as client:
        url = "http://intake/v1/development/token"
        auth = ClientCredentials(url, "portal", "secret")
        answer = await client.post("/v1/complaints", json=FILING, auth=auth)
        assert answer.status_code == 201
        for wrong in (("portal", "x"), ("nobody", "")):
            refused = await client.post(url, data={"grant_type": "client_credentials"}, auth=wrong)
            assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})


def test_the_development_issuer_is_refused_in_production(settings: IntakeSettings) -> None:
    given = settings.model_dump()
    development = {"development_clients": {"portal": "secret"}, "development_key": "09" * 32}
    assert IntakeSettings(**{**given, **development, "environment": "development"})
    for changes in (
        development,
        {**development, "environment": "development", "token_issuer": ISSUER, "token_keys": "/keys.json"},
        {"token_issuer": ISSUER},
        {"token_issuer": ISSUER, "token_keys": "http://sso.example.ma/keys"},
    ):
        with pytest.raises(ValidationError):
            IntakeSettings(**{**given, **changes})
