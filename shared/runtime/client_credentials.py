"""How a frontend of ours shows who it is: an access token by client credentials (RFC 6749 section 4.4)."""

import time
from collections.abc import Generator

import httpx

_EARLIER_SECONDS = 30.0


class BearerToken(httpx.Auth):
    """Adds an API key to each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class ClientCredentials(httpx.Auth):
    """Adds an access token to each request: asks for one when there is none, it is about to expire, or it is refused.

    An issuer that gives none raises httpx.HTTPStatusError, which callers treat like any failed request.
    """

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, secret: str) -> None:
        self._token_url = token_url
        self._basic = httpx.BasicAuth(client_id, secret)
        self._token = ""
        self._expires_at = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() > self._expires_at - _EARLIER_SECONDS:
            yield from self._fetch()
        request.headers["authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._fetch()
            request.headers["authorization"] = f"Bearer {self._token}"
            yield request

    def _fetch(self) -> Generator[httpx.Request, httpx.Response, None]:
        asking = httpx.Request("POST", self._token_url, data={"grant_type": "client_credentials"})
        [asking] = self._basic.auth_flow(asking)
        answer = yield asking
        granted = answer.raise_for_status().json()
        self._token = granted["access_token"]
        self._expires_at = time.monotonic() + float(granted.get("expires_in", 60))
