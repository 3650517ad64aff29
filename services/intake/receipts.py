"""Receipts: what proves that a complaint was received, as a signed statement and on paper."""

from datetime import UTC

from services.intake.store import Stored
from shared.contracts.statements import ISSUER, RECEIPT
from shared.runtime.signatures import Signer


class Receipts:
    """Makes receipts under the service's signing key. The same submission gives the same receipt."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.key_set = signer.key_set

    def signed(self, stored: Stored) -> str:
        """The receipt as a compact JWS: who received what (SHA-256 of the filing), when, under which reference."""
        claims = {
            "iss": ISSUER,
            "sub": stored.reference,
            "jti": str(stored.complaint_id),
            "iat": int(stored.received_at.timestamp()),
            "received_at": stored.received_at.astimezone(UTC).isoformat(),
            "content_sha256": stored.digest.hex(),
        }
        return self._signer.sign(RECEIPT, claims)

    def printed(self, stored: Stored) -> bytes:
        """The receipt as a PDF in French and Arabic; the signed one is in its QR code and in its keywords.

        Takes some tens of milliseconds of CPU.
        """
        # Drawing takes a second to import, and intake must be there before anybody wants paper.
        from services.intake.receipt_paper import drawn

        return drawn(stored.reference, stored.received_at, stored.digest.hex(), self.signed(stored))
