"""What may be attached to a complaint, and the headers of the tus protocol 1.0. Pure."""

import binascii
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

MAXIMUM_SIZE = 20 * 1024 * 1024
MAXIMUM_CHECKED_PART = 5 * 1024 * 1024
"""A part sent with a checksum is kept in memory until it is known to be right."""

MAXIMUM_ATTACHMENTS = 10
LIFETIME = timedelta(hours=24)
"""An upload that is not attached within this time is forgotten."""

IMAGES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Media type → the name of its format; these are encoded anew, which leaves out where and by whom they were taken."""

ALLOWED = frozenset(IMAGES) | {
    "application/pdf",
    "audio/aac",
    "audio/amr",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/x-wav",
    "video/3gpp",
    "video/mp4",
    "video/quicktime",
    "video/webm",
}
"""Media types, as found in the content. No archives, no HTML, no SVG, nothing that runs."""

CHECKSUMS = ("sha256",)


class AttachmentRefused(Exception):
    """The content may not be attached; the argument is one of `type`, `unreadable`, `infected`."""

    @property
    def reason(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way, or finished when `sha256` is there."""

    upload_id: UUID
    client_id: str
    length: int
    received: int
    expires_at: datetime
    sha256: str | None = None
    media_type: str | None = None
    size: int | None = None
    scanned: bool | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """Content as it is kept, and what is known of it; `scanned`: a scanner found nothing in it."""

    content: bytes
    media_type: str
    scanned: bool

    @property
    def sha256(self) -> str:
        """Of the content as kept, in hexadecimal."""
        return sha256(self.content).hexdigest()


def checksum_matches(header: str, content: bytes) -> bool:
    """Whether content has the checksum of an `Upload-Checksum` header. Raises ValueError for a malformed header."""
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise ValueError(f"unknown checksum algorithm {algorithm!r}")
    try:
        expected = b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("the checksum is not Base64") from error
    return sha256(content).digest() == expected
