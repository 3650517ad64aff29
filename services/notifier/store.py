"""The SQL of the notifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notifier.domain import Contact
from shared.database.pool import Connection

_CONTACTS = """
INSERT INTO contacts (complaint_id, preferred, language, address, reference)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT (complaint_id) DO NOTHING
"""
_MESSAGES = """
INSERT INTO messages (event_id, complaint_id, template, happened_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) ON CONFLICT (event_id) DO NOTHING
"""
_TAKE = """
UPDATE messages SET state = CASE WHEN contacts.address IS NULL THEN 'not_wanted' ELSE 'sent' END
FROM contacts
WHERE messages.complaint_id = contacts.complaint_id AND messages.state = 'waiting'
  AND messages.complaint_id = ANY($1::uuid[])
RETURNING messages.event_id, messages.complaint_id, template, happened_at, preferred, language, address, reference
"""
_RESTORE = """
INSERT INTO messages (event_id, complaint_id, template, happened_at, state)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[])
ON CONFLICT (event_id) DO UPDATE SET state = excluded.state
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that can go out: the lifecycle event it is about, and whom to tell how."""

    event_id: UUID
    complaint_id: UUID
    template: str
    happened_at: datetime
    preferred: str
    language: str
    address: str | None
    reference: str


async def put_contacts(connection: Connection, contacts: Sequence[Contact]) -> None:
    """Keeps contacts; the first of a complaint stays."""
    await connection.execute(_CONTACTS, *map(list, zip(*sorted(contacts), strict=True)))


async def put_messages(connection: Connection, messages: Sequence[tuple[UUID, UUID, str, datetime]]) -> None:
    """Adds (event id, complaint id, template, when); a message that is there stays as it is."""
    await connection.execute(_MESSAGES, *map(list, zip(*messages, strict=True)))


async def take_deliverable(connection: Connection, complaint_ids: Sequence[UUID]) -> list[Message]:
    """Takes the waiting messages of these complaints whose contact is known, in order, and marks them."""
    rows = await connection.fetch(_TAKE, complaint_ids)
    return sorted((Message(**row) for row in rows), key=lambda m: (m.complaint_id, m.happened_at))


async def restore(connection: Connection, messages: Sequence[tuple[UUID, UUID, str, datetime, str]]) -> None:
    """Marks messages as told, after the database went back in time."""
    await connection.execute(_RESTORE, *map(list, zip(*messages, strict=True)))
