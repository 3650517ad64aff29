"""Who may see what, and how often a wrong code may be tried. Pure."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a member of staff is. An auditor reads as operations do, and who else read."""

    OPERATIONS = "operations"
    AUDITOR = "auditor"
    ADMINISTRATION = "administration"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a token. `administration` is set for one that sees only what it holds."""

    role: Role
    name: str
    administration: str | None = None


class Tokens:
    """The bearer tokens of staff. An administration is known by its code."""

    def __init__(self, operations: str | None, auditor: str | None, administrations: Mapping[str, str]) -> None:
        self._readers = [
            (token, reader)
            for token, reader in (
                (operations, Reader(Role.OPERATIONS, "operations")),
                (auditor, Reader(Role.AUDITOR, "auditor")),
                *((t, Reader(Role.ADMINISTRATION, code, code)) for code, t in administrations.items()),
            )
            if token
        ]

    def reader(self, authorization: str) -> Reader | None:
        """Whose token an Authorization header carries. Every token is compared, each in constant time."""
        found = None
        for token, reader in self._readers:
            if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                found = reader
        return found


_CREDIT = timedelta(hours=1)


def cost(per_hour: int) -> timedelta:
    """What one failure costs of the hour of credit that everybody has."""
    return _CREDIT / per_hour


def wait(spent_until: datetime | None, now: datetime) -> int:
    """Seconds until another attempt is heard; 0 when it is now.

    The generic cell rate algorithm: failures move `spent_until` ahead by their cost, from now at least; an hour ahead,
    the credit is used up, and time gives it back.
    """
    over = timedelta(0) if spent_until is None else spent_until - now - _CREDIT
    return int(over.total_seconds()) + 1 if spent_until is not None and over >= timedelta(0) else 0
