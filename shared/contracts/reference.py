"""The two things a citizen keeps: the reference (public, can be dictated) and the access code (secret)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from uuid import UUID

_NUMBERS_PER_DAY = 10**8


def reference(receipt_day: date, number: int) -> str:
    """The reference of one complaint: ``YYDDD-NNNN-NNNN-CC``, digits only, for dictation and DTMF.

    `receipt_day` is the day in Africa/Casablanca, `number` is 0..99,999,999 and unique within it.
    CC are the check digits of ISO 7064 MOD 97-10: they catch every single wrong digit and every
    swap of neighbours.
    """
    if not 0 <= number < _NUMBERS_PER_DAY:
        raise ValueError(f"a reference number has at most 8 digits, not {number}")
    payload = f"{receipt_day:%y%j}{number:08d}"
    check = 98 - int(payload) * 100 % 97
    return _grouped(f"{payload}{check:02d}")


def parse_reference(text: str) -> str | None:
    """The canonical form of a reference as typed (spaces, dashes and Arabic-Indic digits allowed), or None."""
    digits = "".join(str(int(c)) for c in text if c.isdecimal())
    if len(digits) != 15 or int(digits) % 97 != 1:
        return None
    return _grouped(digits)


def _grouped(digits: str) -> str:
    return f"{digits[:5]}-{digits[5:9]}-{digits[9:13]}-{digits[13:]}"


@dataclass(frozen=True, slots=True)
class AccessCodes:
    """Derives access codes, so that none is ever stored: HMAC-SHA-256 over the complaint id and an issue counter.

    `keys` maps a key id to its secret; `current` names the one for new complaints. A complaint stores
    its key id and issue counter only: keys rotate and a code can be issued again.
    """

    keys: Mapping[str, bytes]
    current: str

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"no access code key named {self.current!r}: configure CHIKAYA_ACCESS_CODE_KEYS")

    def code(self, complaint_id: UUID, key_id: str, issue: int) -> str:
        """Eight digits. Raises KeyError for an unknown key id."""
        digest = hmac.digest(self.keys[key_id], complaint_id.bytes + issue.to_bytes(4, "big"), sha256)
        return f"{int.from_bytes(digest[:8], 'big') % 10**8:08d}"

    def matches(self, typed: str, complaint_id: UUID, key_id: str, issue: int) -> bool:
        """Compares in constant time; separators and Arabic-Indic digits are allowed in `typed`."""
        digits = "".join(str(int(c)) for c in typed if c.isdecimal())
        return hmac.compare_digest(digits, self.code(complaint_id, key_id, issue))
