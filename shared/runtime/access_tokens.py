"""Access tokens of channel frontends: OAuth 2.0 client credentials as JWTs (RFC 6749 section 4.4, RFC 9068).

A token is taken when a key of the issuer signed it under an algorithm for public keys (so neither `none` nor an HMAC
over a public key passes), it is for this audience, and it has not expired.
"""

import asyncio
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import KeySet

from shared.runtime.signatures import KeySetDocument

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "ES256", "Ed25519", "EdDSA")
TYPE = "at+jwt"

_TYPES = (TYPE, f"application/{TYPE}", "jwt", "")
_LEEWAY_SECONDS = 30
_LONGEST = 8_192


@dataclass(frozen=True, slots=True)
class Client:
    """A channel frontend, and what it may do."""

    id: str
    scopes: frozenset[str]


class TokenRefused(Exception):
    """The token is not from the issuer, not for us, or not valid now."""


class Keys(Protocol):
    """Where the issuer's public keys come from."""

    async def known(self) -> KeySetDocument:
        """The keys. Raises OSError while there are none yet."""
        ...

    async def newer(self) -> KeySetDocument:
        """The keys, asked for again, because a token names one that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that never change."""

    document: KeySetDocument

    async def known(self) -> KeySetDocument:
        return self.document

    async def newer(self) -> KeySetDocument:
        return self.document


class PublishedKeys:
    """A key set at an https URL or in a file, read again every hour, and when an unknown key is met.

    Unknown keys make it read at most every 30 s: anyone can send tokens. While it cannot be read, the last one counts.
    """

    _OLD_SECONDS = 3_600.0
    _SOONEST_SECONDS = 30.0

    def __init__(self, location: str) -> None:
        self._location = location
        self._document: KeySetDocument | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def known(self) -> KeySetDocument:
        return await self._at_most(self._OLD_SECONDS)

    async def newer(self) -> KeySetDocument:
        return await self._at_most(self._SOONEST_SECONDS)

    async def _at_most(self, seconds: float) -> KeySetDocument:
        async with self._reading:
            if self._document is None or time.monotonic() - self._read_at > seconds:
                self._read_at = time.monotonic()
                try:
                    self._document = await self._read()
                except (httpx.HTTPError, OSError, ValueError) as error:
                    log.warning("issuer_keys_unreadable", location=self._location, error=repr(error))
            if self._document is None:
                raise OSError(f"the issuer's keys cannot be read from {self._location}")
            return self._document

    async def _read(self) -> KeySetDocument:
        if "://" in self._location:
            async with httpx.AsyncClient(timeout=5) as http:
                answer = await http.get(self._location)
            document = orjson.loads(answer.raise_for_status().content)
        else:
            document = orjson.loads(await asyncio.to_thread(Path(self._location).read_bytes))
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise ValueError("not a JSON Web Key Set")
        return document


class AccessTokens:
    """Reads the tokens of one issuer for one audience."""

    def __init__(self, keys: Keys, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def client(self, token: str, now: datetime) -> Client:
        """Whose token it is. Raises TokenRefused, and OSError while the issuer's keys cannot be had."""
        if len(token) > _LONGEST:
            raise TokenRefused("too long")
        try:
            claims = self._claims(token, await self._keys.known(), now)
        except InvalidKeyIdError:
            try:
                claims = self._claims(token, await self._keys.newer(), now)
            except (JoseError, ValueError, TypeError) as error:
                raise TokenRefused(str(error)) from error
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise TokenRefused(str(error)) from error
        name = claims.get("client_id") or claims.get("azp") or claims.get("sub")
        scope = claims.get("scope", "")
        if not isinstance(name, str) or not isinstance(scope, str):
            raise TokenRefused("no client or no scope")
        return Client(name, frozenset(scope.split()))

    def _claims(self, token: str, document: KeySetDocument, now: datetime) -> Mapping[str, Any]:
        keys = KeySet.import_key_set({"keys": list(document["keys"])})
        with warnings.catch_warnings():
            # Many issuers still name Ed25519 by its older name.
            warnings.simplefilter("ignore", SecurityWarning)
            read = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
        if str(read.header.get("typ", "")).lower() not in _TYPES:
            raise ValueError("not an access token")
        rules = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )
        rules.validate(read.claims)
        return read.claims
