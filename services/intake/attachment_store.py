"""The SQL of uploads and attachments. Parts of an upload are kept here until it is whole: any instance may go on."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.intake.domain.attachments import Examined, Upload
from shared.contracts.events import Attachment
from shared.database.pool import Connection, Database

_COLUMNS = "upload_id, client_id, length, received, expires_at, sha256, media_type, size, scanned"
_CREATE = "INSERT INTO uploads (upload_id, client_id, length, received, expires_at) VALUES ($1, $2, $3, 0, $4)"
_GET = f"SELECT {_COLUMNS} FROM uploads WHERE upload_id = $1 AND client_id = $2"
_ADVANCE = """
UPDATE uploads SET received = received + $3 WHERE upload_id = $1 AND received = $2 AND received + $3 <= length
RETURNING 1
"""
_ADD_PART = "INSERT INTO upload_parts (upload_id, start, content) VALUES ($1, $2, $3)"
_PARTS = "SELECT content FROM upload_parts WHERE upload_id = $1 ORDER BY start"
_FINISH = "UPDATE uploads SET sha256 = $2, media_type = $3, size = $4, scanned = $5 WHERE upload_id = $1"
_DROP_PARTS = "DELETE FROM upload_parts WHERE upload_id = $1"
_DROP = "DELETE FROM uploads WHERE upload_id = $1"
_FINISHED = """
SELECT upload_id, sha256, media_type, size, scanned FROM uploads
WHERE upload_id = ANY($1::uuid[]) AND client_id = $2 AND sha256 IS NOT NULL AND expires_at > $3
"""
_ATTACH = """
INSERT INTO attachments (complaint_id, sha256, media_type, size, scanned)
SELECT DISTINCT ON (1, 2) * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bool[])
ON CONFLICT DO NOTHING
"""
_OF_COMPLAINT = "SELECT sha256, media_type, size, scanned FROM attachments WHERE complaint_id = $1 ORDER BY sha256"
_EXPIRED = """
WITH gone AS (DELETE FROM uploads WHERE upload_id IN (
    SELECT upload_id FROM uploads WHERE expires_at < $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
) RETURNING sha256)
SELECT DISTINCT sha256 FROM gone WHERE sha256 IS NOT NULL
"""
_UNUSED = """
SELECT sha256 FROM unnest($1::text[]) AS sha256
WHERE NOT EXISTS (SELECT FROM attachments WHERE attachments.sha256 = sha256.sha256)
  AND NOT EXISTS (SELECT FROM uploads WHERE uploads.sha256 = sha256.sha256)
"""


class Attached(NamedTuple):
    """An attachment of a complaint."""

    complaint_id: UUID
    attachment: Attachment


class AttachmentQueries:
    """Uploads and attachments, each method in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, upload: Upload) -> None:
        """Begins an upload."""
        await self._database.fetch(_CREATE, upload.upload_id, upload.client_id, upload.length, upload.expires_at)

    async def get(self, upload_id: UUID, client_id: str) -> Upload | None:
        """An upload of this client."""
        rows = await self._database.fetch(_GET, upload_id, client_id)
        return Upload(**rows[0]) if rows else None

    async def append(self, upload_id: UUID, start: int, content: bytes) -> bool:
        """Adds a part; False when another part was added at `start`, or it would be longer than announced."""

        async def work(connection: Connection) -> bool:
            if await connection.fetchval(_ADVANCE, upload_id, start, len(content)) is None:
                return False
            await connection.execute(_ADD_PART, upload_id, start, content)
            return True

        return await self._database.run(work, patience=5)

    async def content(self, upload_id: UUID) -> bytes:
        """All parts, joined."""
        return b"".join(row["content"] for row in await self._database.fetch(_PARTS, upload_id))

    async def finish(self, upload_id: UUID, examined: Examined) -> None:
        """Notes what is known of a whole upload, whose content is in the file store now."""

        async def work(connection: Connection) -> None:
            size = len(examined.content)
            await connection.execute(_FINISH, upload_id, examined.sha256, examined.media_type, size, examined.scanned)
            await connection.execute(_DROP_PARTS, upload_id)

        await self._database.run(work, patience=5)

    async def drop(self, upload_id: UUID) -> None:
        """Forgets an upload."""
        await self._database.fetch(_DROP, upload_id)

    async def finished(self, upload_ids: Sequence[UUID], client_id: str, now: datetime) -> dict[UUID, Attachment]:
        """Those of a client's uploads that may be attached."""
        rows = await self._database.fetch(_FINISHED, upload_ids, client_id, now)
        return {row["upload_id"]: Attachment.model_validate(dict(row)) for row in rows}

    async def of_complaint(self, complaint_id: UUID) -> list[Attachment]:
        """What is attached to a complaint."""
        rows = await self._database.fetch(_OF_COMPLAINT, complaint_id)
        return [Attachment.model_validate(dict(row)) for row in rows]

    async def drop_expired(self, before: datetime) -> list[str]:
        """Forgets up to 100 uploads that expired before; the hashes of files that nothing needs any more."""

        async def work(connection: Connection) -> list[str]:
            return [row["sha256"] for row in await connection.fetch(_EXPIRED, before)]

        hashes = await self._database.run(work)
        return [row["sha256"] for row in await self._database.fetch(_UNUSED, hashes)] if hashes else []


async def attach(connection: Connection, attached: Sequence[Attached]) -> None:
    """Stores attachments of complaints; a repeat changes nothing."""
    if attached:
        ordered = sorted(attached, key=lambda one: (one.complaint_id, one.attachment.sha256))
        await connection.execute(
            _ATTACH,
            [one.complaint_id for one in ordered],
            [one.attachment.sha256 for one in ordered],
            [one.attachment.media_type for one in ordered],
            [one.attachment.size for one in ordered],
            [one.attachment.scanned for one in ordered],
        )
