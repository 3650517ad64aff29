"""The development issuer: access tokens for a machine of one's own. Settings refuse it anywhere else."""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Header, Response

from services.intake.clients import SCOPES
from shared.runtime.access_tokens import TYPE
from shared.runtime.clock import Clock
from shared.runtime.signatures import Signer

ISSUER = "https://development.chikaya.ma"

_LIFETIME_SECONDS = 3_600


def make_development_router(clients: Mapping[str, str], signer: Signer, audience: str, clock: Clock) -> APIRouter:
    """`POST /v1/development/token` (RFC 6749 section 4.4): a token with every scope for a client and its secret."""
    router = APIRouter(include_in_schema=False)

    @router.post("/v1/development/token")
    async def token(grant_type: Annotated[str, Form()], authorization: Annotated[str, Header()] = "") -> Response:
        if grant_type != "client_credentials":
            return _answer({"error": "unsupported_grant_type"}, 400)
        name, secret = _credentials(authorization)
        if not hmac.compare_digest(clients.get(name, "").encode(), secret.encode()) or name not in clients:
            return _answer({"error": "invalid_client"}, 401)
        now = int(clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "client_id": name,
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
            "scope": " ".join(SCOPES),
        }
        granted = {"access_token": signer.sign(TYPE, claims), "token_type": "Bearer", "expires_in": _LIFETIME_SECONDS}
        return _answer(granted, 200)

    return router


def _credentials(authorization: str) -> tuple[str, str]:
    try:
        name, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret


def _answer(body: Mapping[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status, {"cache-control": "no-store"}, "application/json")
