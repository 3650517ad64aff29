"""Who may post: channel frontends by access token, small ones by API key, and nobody else unless it is so set."""

import secrets
import time
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header

from services.intake.client_store import ClientQueries
from shared.runtime.access_tokens import AccessTokens, Client, TokenRefused
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem

FILE = "complaints:file"
ACT = "complaints:act"
VERIFY = "receipts:verify"
SCOPES = (FILE, ACT, VERIFY)

API_KEY_PREFIX = "chk_"
"""An API key is a bearer token that begins so."""

PUBLIC = Client("public", frozenset((FILE, ACT)))
"""Whoever shows nothing, where that is allowed."""

_REMEMBERED_SECONDS = 15.0
_MOST_REMEMBERED = 10_000


def new_api_key() -> str:
    """256 random bits, so that a plain SHA-256 of it may be stored."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def digest_of(api_key: str) -> bytes:
    """What is stored of an API key."""
    return sha256(api_key.encode()).digest()


class Clients:
    """Tells who a request comes from. A revoked API key stops working within 15 seconds."""

    def __init__(
        self, queries: ClientQueries, tokens: AccessTokens | None, clock: Clock, *, without_client: bool
    ) -> None:
        self._queries = queries
        self._tokens = tokens
        self._clock = clock
        self._without_client = without_client
        self._remembered: dict[bytes, tuple[float, Client | None]] = {}

    def with_scope(self, scope: str) -> Callable[[str], Coroutine[Any, Any, Client]]:
        """A dependency: the client of a request. 401 without a valid token or key, 403 without the scope."""

        async def authenticated(authorization: Annotated[str, Header(include_in_schema=False)] = "") -> Client:
            client = await self.client(authorization)
            if scope not in client.scopes:
                challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
                raise Problem(403, "forbidden", headers={"www-authenticate": challenge})
            return client

        return authenticated

    async def client(self, authorization: str) -> Client:
        """The client of an Authorization header (RFC 6750). Raises a 401 Problem."""
        kind, _, token = authorization.partition(" ")
        if not authorization and self._without_client:
            return PUBLIC
        if not authorization or kind.lower() != "bearer":
            raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})
        client = await self._of_token(token.strip())
        if client is None:
            raise Problem(401, "unauthorized", headers={"www-authenticate": 'Bearer error="invalid_token"'})
        return client

    async def _of_token(self, token: str) -> Client | None:
        if token.startswith(API_KEY_PREFIX):
            return await self.of_api_key(token)
        if self._tokens is None:
            return None
        try:
            return await self._tokens.client(token, self._clock.now())
        except TokenRefused:
            return None

    async def of_api_key(self, api_key: str) -> Client | None:
        """The client of an API key."""
        digest = digest_of(api_key)
        at, client = self._remembered.get(digest, (0.0, None))
        if time.monotonic() - at > _REMEMBERED_SECONDS:
            client = await self._queries.by_digest(digest)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = time.monotonic(), client
        return client
