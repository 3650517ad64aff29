"""Contacts and messages: who is to be told what, and on which channel first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notifier.domain.notices import CITIZEN, RELEASED, Contact, Message
from shared.contracts.events import ComplaintSubmitted
from shared.database.pool import Connection

_SUBMITTED = """
INSERT INTO contacts (complaint_id, preferred, language, reference, access_code_key, access_code_issue)
SELECT complaint_id, 'none', language, reference, key, issue
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[])
     AS row (complaint_id, language, reference, key, issue)
ORDER BY complaint_id
ON CONFLICT (complaint_id) DO UPDATE
SET language = excluded.language, reference = excluded.reference, access_code_key = excluded.access_code_key,
    access_code_issue = excluded.access_code_issue
"""
_CONTACTS = """
INSERT INTO contacts (complaint_id, since, preferred, phone, email)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[]) ORDER BY 1
ON CONFLICT (complaint_id) DO UPDATE
SET since = excluded.since, preferred = excluded.preferred, phone = excluded.phone, email = excluded.email
WHERE contacts.since < excluded.since
"""
_MESSAGES = """
INSERT INTO messages (event_id, recipient, complaint_id, template, ways, happened_at, facts)
SELECT event_id, recipient, complaint_id, template, string_to_array(ways, ','), happened_at, facts::jsonb
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
     AS row (event_id, recipient, complaint_id, template, ways, happened_at, facts)
ON CONFLICT (event_id, recipient) DO UPDATE SET facts = excluded.facts WHERE messages.facts IS NULL
"""
_RELEASED = f"""
UPDATE messages SET template = '{RELEASED}'
WHERE event_id = ANY($1::uuid[]) AND recipient = '{CITIZEN}' AND template = 'forwarded' AND (
    SELECT before.template FROM messages AS before
    WHERE before.complaint_id = messages.complaint_id AND before.recipient = '{CITIZEN}'
      AND before.happened_at <= messages.happened_at AND before.event_id <> messages.event_id
      AND before.template IN ('parked', 'forwarded', '{RELEASED}', 'returned')
    ORDER BY before.happened_at DESC LIMIT 1
) = 'parked'
"""
_TAKE = """
UPDATE messages SET state = 'planned'
FROM contacts
WHERE messages.complaint_id = contacts.complaint_id AND messages.state = 'waiting'
  AND contacts.reference IS NOT NULL AND facts IS NOT NULL AND messages.complaint_id = ANY($1::uuid[])
RETURNING messages.event_id, recipient, messages.complaint_id, template, ways, preferred, phone, email
"""
_NOT_WANTED = """
UPDATE messages SET state = 'not_wanted'
FROM unnest($1::uuid[], $2::text[]) AS row (event_id, recipient)
WHERE messages.event_id = row.event_id AND messages.recipient = row.recipient
"""
_RESTORE = """
INSERT INTO messages (event_id, recipient, complaint_id, template, ways, happened_at, state)
SELECT event_id, $6, complaint_id, template, '{sms,email}', happened_at, state
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[])
     AS row (event_id, complaint_id, template, happened_at, state)
ON CONFLICT (event_id, recipient) DO UPDATE SET state = excluded.state
"""


@dataclass(frozen=True, slots=True)
class Plannable:
    """A message whose complaint is known: it can be planned on a channel. `addresses` are the citizen's by way."""

    event_id: UUID
    recipient: str
    complaint_id: UUID
    template: str
    ways: tuple[str, ...]
    preferred: str
    addresses: Mapping[str, str]


async def put_submitted(connection: Connection, submitted: Iterable[ComplaintSubmitted]) -> None:
    """Keeps what a message needs to know of its complaint."""
    rows = list({data.complaint_id: data for data in submitted}.values())
    await connection.execute(
        _SUBMITTED,
        [d.complaint_id for d in rows],
        [d.language.value if d.language else None for d in rows],
        [d.reference for d in rows],
        [d.access_code_key for d in rows],
        [d.access_code_issue for d in rows],
    )


async def put_contacts(connection: Connection, contacts: Iterable[Contact]) -> None:
    """Keeps the newest contact of each complaint."""
    newest: dict[UUID, Contact] = {}
    for contact in contacts:
        before = newest.get(contact.complaint_id)
        if before is None or before.since <= contact.since:
            newest[contact.complaint_id] = contact
    rows = list(newest.values())
    await connection.execute(
        _CONTACTS,
        [c.complaint_id for c in rows],
        [c.since for c in rows],
        [c.preferred.value for c in rows],
        [c.phone for c in rows],
        [c.email for c in rows],
    )


async def put_messages(connection: Connection, messages: Sequence[Message]) -> None:
    """Adds messages; one that is there stays as it is, and gets its facts if it was restored without."""
    rows = list({(m.event_id, m.recipient): m for m in messages}.values())
    await connection.execute(
        _MESSAGES,
        [m.event_id for m in rows],
        [m.recipient for m in rows],
        [m.complaint_id for m in rows],
        [m.template for m in rows],
        [",".join(m.ways) for m in rows],
        [m.facts.changed_at for m in rows],
        [m.facts.model_dump_json(exclude_none=True) for m in rows],
    )
    await connection.execute(_RELEASED, [m.event_id for m in rows])


async def take_plannable(connection: Connection, complaint_ids: Iterable[UUID]) -> list[Plannable]:
    """Takes the waiting messages of these complaints whose submission is known, and marks them as planned."""
    rows = await connection.fetch(_TAKE, list(complaint_ids))
    return [
        Plannable(
            event_id=row["event_id"],
            recipient=row["recipient"],
            complaint_id=row["complaint_id"],
            template=row["template"],
            ways=tuple(row["ways"]),
            preferred=row["preferred"],
            addresses={way: row[column] for way, column in (("sms", "phone"), ("email", "email")) if row[column]},
        )
        for row in rows
    ]


async def mark_not_wanted(connection: Connection, messages: Sequence[Plannable]) -> None:
    """Marks messages that nobody asked for."""
    await connection.execute(_NOT_WANTED, [m.event_id for m in messages], [m.recipient for m in messages])


async def restore(connection: Connection, told: Sequence[tuple[UUID, UUID, str, datetime, str]]) -> None:
    """Marks citizens' (event id, complaint id, template, when, state) as told, after the database went back."""
    await connection.execute(_RESTORE, *map(list, zip(*told, strict=True)), CITIZEN)
