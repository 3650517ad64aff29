"""Statements that anyone can check without asking: JSON Web Signatures (RFC 7515) under Ed25519 keys (RFC 8037).

The algorithm is named `Ed25519`, as RFC 9864 wants it. The `kid` names the key: a new key signs from the moment it is
the last one configured, and what older keys signed can be checked as long as they are published.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

_ALGORITHM = "Ed25519"
_COMPACT = re.compile(rb"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{86}(?![\w-])")

KeySetDocument = Mapping[str, Any]
"""A JSON Web Key Set (RFC 7517 section 5) of public keys."""


class SignatureInvalid(Exception):
    """What was read is not a statement signed by a known key."""


class Signer:
    """Signs with the last of `keys`: key id → the 32 bytes of an Ed25519 private key.

    `retired` maps the ids of keys that no longer exist here to their public 32 bytes: published, not used.
    """

    def __init__(self, keys: Mapping[str, bytes], retired: Mapping[str, bytes] | None = None) -> None:
        if not keys:
            raise ValueError("no signing key: configure CHIKAYA_SIGNING_KEYS")
        private = {kid: _private_key(kid, seed) for kid, seed in keys.items()}
        public = {kid: _public_key(kid, raw) for kid, raw in (retired or {}).items()}
        self._kid = list(keys)[-1]
        self._key = private[self._kid]
        self.key_set: KeySetDocument = {
            "keys": [_published(key) for key in (*public.values(), *private.values())],
        }
        """The public keys, for those who check."""

    def sign(self, statement: str, claims: Mapping[str, Any]) -> str:
        """The compact serialisation; `statement` is the media type (`typ`) that tells kinds of statements apart.

        The same claims under the same key give the same signature.
        """
        header = {"alg": _ALGORITHM, "kid": self._kid, "typ": statement}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, algorithms=[_ALGORITHM])


def verified(signed: str, statement: str, key_set: KeySetDocument) -> dict[str, Any]:
    """The claims of a statement of this kind. Raises SignatureInvalid."""
    try:
        known = KeySet.import_key_set({"keys": list(key_set["keys"])})
        checked = jws.deserialize_compact(signed, known, algorithms=[_ALGORITHM])
        claims = orjson.loads(checked.payload or b"")
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise SignatureInvalid(f"the signature is not valid: {error}") from error
    if checked.headers().get("typ") != statement or not isinstance(claims, dict):
        raise SignatureInvalid(f"this is not a statement of the kind {statement}")
    return claims


def find_signed(content: bytes) -> str:
    """The first signed statement in a file: bare, in JSON, or in a PDF that carries it as a keyword.

    Raises SignatureInvalid when there is none.
    """
    found = _COMPACT.search(content)
    if found is None:
        raise SignatureInvalid("the file holds no signed statement")
    return found[0].decode()


def _private_key(kid: str, seed: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed), {"kid": kid})


def _public_key(kid: str, raw: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PublicKey.from_public_bytes(raw), {"kid": kid})


def _published(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM}
