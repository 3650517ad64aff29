"""The SQL of API keys."""

from collections.abc import Sequence
from datetime import datetime

from shared.database.pool import Connection, Database
from shared.runtime.access_tokens import Client

_BY_DIGEST = "SELECT client_id, scopes FROM clients WHERE key_digest = $1 AND revoked_at IS NULL"
_ADD = """
INSERT INTO clients (client_id, key_digest, scopes) VALUES ($1, $2, $3::text[]) ON CONFLICT DO NOTHING RETURNING 1
"""
_REVOKE = "UPDATE clients SET revoked_at = now() WHERE client_id = $1 AND revoked_at IS NULL RETURNING 1"
_ALL = "SELECT client_id, scopes, created_at, revoked_at FROM clients ORDER BY client_id"

Row = tuple[str, Sequence[str], str, str]
"""Client id, scopes, when it was made, when it was revoked (or nothing)."""


class ClientQueries:
    """The reads of the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_digest(self, digest: bytes) -> Client | None:
        """The client whose API key has this SHA-256, unless it was revoked."""
        rows = await self._database.fetch(_BY_DIGEST, digest)
        return Client(rows[0]["client_id"], frozenset(rows[0]["scopes"])) if rows else None


async def add(connection: Connection, client_id: str, digest: bytes, scopes: Sequence[str]) -> bool:
    """Stores a new client; False when there is one of that name, revoked or not."""
    return await connection.fetchval(_ADD, client_id, digest, scopes) is not None


async def revoke(connection: Connection, client_id: str) -> bool:
    """Whether there was such a client to revoke."""
    return await connection.fetchval(_REVOKE, client_id) is not None


async def every(connection: Connection) -> list[Row]:
    """All clients, revoked ones too, by name."""
    rows = await connection.fetch(_ALL)
    return [(row["client_id"], row["scopes"], _day(row["created_at"]), _day(row["revoked_at"])) for row in rows]


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d}"
