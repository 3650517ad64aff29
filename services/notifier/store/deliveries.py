"""Deliveries: claimed, sent outside any transaction, then marked; with the parts that the provider accepted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.notifier.domain.notices import CITIZEN
from services.notifier.domain.sending import Receipt
from shared.database.pool import Connection, Database

_TURN_LOCK = 0x43484B10

_TURN = "SELECT pg_advisory_xact_lock($1)"
_PUT = """
INSERT INTO deliveries (delivery_id, event_id, recipient, channel, complaint_id, state, since, due_at, changed_at)
SELECT delivery_id, event_id, recipient, channel, complaint_id, state, at, at, at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::timestamptz[])
     AS row (delivery_id, event_id, recipient, channel, complaint_id, state, at)
ON CONFLICT (delivery_id) DO NOTHING
RETURNING event_id, recipient
"""
_CLAIM = """
WITH claimed AS (
    UPDATE deliveries SET claim = claim + 1, attempts = attempts + 1, due_at = $2::timestamptz + $3
    WHERE delivery_id IN (
        SELECT delivery_id FROM deliveries WHERE state = 'due' AND channel = $1 AND due_at <= $2
        ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    RETURNING *
)
SELECT claimed.delivery_id, claimed.event_id, claimed.recipient, claimed.channel, claimed.complaint_id, claimed.claim,
       claimed.attempts, claimed.since, messages.template, messages.facts, contacts.language, contacts.reference,
       contacts.access_code_key, contacts.access_code_issue, contacts.phone, contacts.email,
       (SELECT coalesce(jsonb_object_agg(part, provider_id), '{}') FROM parts
        WHERE parts.delivery_id = claimed.delivery_id) AS parts
FROM claimed
JOIN messages ON messages.event_id = claimed.event_id AND messages.recipient = claimed.recipient
JOIN contacts ON contacts.complaint_id = claimed.complaint_id
"""
_MARK = """
UPDATE deliveries
SET state = row.state, due_at = row.due_at, last_error = row.error, changed_at = $6
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[])
     AS row (delivery_id, claim, state, due_at, error)
WHERE deliveries.delivery_id = row.delivery_id AND deliveries.claim = row.claim AND deliveries.state = 'due'
RETURNING deliveries.delivery_id
"""
_PARTS = """
INSERT INTO parts (delivery_id, part, provider_id)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])
ON CONFLICT (delivery_id, part) DO NOTHING
"""
_RECEIPTS = """
INSERT INTO receipts (provider_id, delivered, at)
SELECT provider_id, delivered, $3 FROM unnest($1::text[], $2::boolean[]) AS row (provider_id, delivered)
ON CONFLICT (provider_id) DO UPDATE SET delivered = excluded.delivered, at = excluded.at
"""
_WITH_RECEIPTS = """
SELECT DISTINCT delivery_id FROM parts WHERE provider_id = ANY($1::text[])
"""
_CONCLUDE = """
WITH known AS (
    SELECT parts.delivery_id, bool_and(coalesce(receipts.delivered, false)) AS delivered,
           bool_or(NOT receipts.delivered) AS failed
    FROM parts
    JOIN deliveries ON deliveries.delivery_id = parts.delivery_id AND deliveries.state = 'sent'
    LEFT JOIN receipts ON receipts.provider_id = parts.provider_id AND receipts.at >= deliveries.since
    WHERE parts.delivery_id = ANY($1::uuid[])
    GROUP BY parts.delivery_id
)
UPDATE deliveries
SET state = CASE WHEN known.failed THEN 'parked' ELSE 'delivered' END, changed_at = $2,
    last_error = CASE WHEN known.failed THEN 'undelivered' END
FROM known
WHERE deliveries.delivery_id = known.delivery_id AND (known.failed OR known.delivered)
RETURNING deliveries.delivery_id
"""
_DETAILS = """
SELECT delivery_id, deliveries.event_id, deliveries.recipient, channel, deliveries.complaint_id, deliveries.state,
       template, ways, phone, email
FROM deliveries
JOIN messages ON messages.event_id = deliveries.event_id AND messages.recipient = deliveries.recipient
JOIN contacts ON contacts.complaint_id = deliveries.complaint_id
WHERE delivery_id = ANY($1::uuid[])
"""
_FALLEN_BACK = "UPDATE deliveries SET state = 'failed' WHERE delivery_id = ANY($1::uuid[])"
_RESEND = """
UPDATE deliveries
SET state = 'due', claim = claim + 1, attempts = 0, since = $2, due_at = $2, changed_at = $2, last_error = NULL
WHERE delivery_id = $1 AND state <> 'due' AND EXISTS (
    SELECT FROM messages
    WHERE messages.event_id = deliveries.event_id AND messages.recipient = deliveries.recipient AND facts IS NOT NULL
)
RETURNING delivery_id
"""
_FORGET_PARTS = "DELETE FROM parts WHERE delivery_id = $1"
_RESTORE = """
INSERT INTO deliveries (delivery_id, event_id, recipient, channel, complaint_id, state, since, due_at, changed_at)
SELECT delivery_id, event_id, $7, channel, complaint_id, state, at, at, at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[])
     AS row (delivery_id, event_id, channel, complaint_id, state, at)
ON CONFLICT (delivery_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at
"""
_LIST = """
SELECT delivery_id, deliveries.event_id, deliveries.complaint_id, reference, template, deliveries.recipient, channel,
       deliveries.state, deliveries.since, attempts, due_at, changed_at, last_error
FROM deliveries
JOIN messages ON messages.event_id = deliveries.event_id AND messages.recipient = deliveries.recipient
JOIN contacts ON contacts.complaint_id = deliveries.complaint_id
WHERE ($1::text IS NULL OR deliveries.state = $1) AND ($2::text IS NULL OR reference = $2)
  AND ($3::timestamptz IS NULL OR (deliveries.since, delivery_id) < ($3, $4::uuid))
ORDER BY deliveries.since DESC, delivery_id DESC LIMIT $5
"""
_COUNTS = "SELECT state, count(*) AS number FROM deliveries GROUP BY state"

Row = asyncpg.Record
"""A row of the delivery log, by column name."""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to make."""

    delivery_id: UUID
    event_id: UUID
    recipient: str
    channel: str
    complaint_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process may send until its claim runs out.

    `parts` are those the provider accepted, number → its id: in earlier attempts, and in this one as it goes on.
    """

    delivery_id: UUID
    event_id: UUID
    recipient: str
    channel: str
    complaint_id: UUID
    claim: int
    attempts: int
    since: datetime
    template: str
    facts: Mapping[str, Any]
    language: str | None
    reference: str
    access_code_key: str
    access_code_issue: int
    phone: str | None
    email: str | None
    parts: dict[int, str]


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of a claimed delivery."""

    claimed: Claimed
    state: str
    due_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """A delivery with its message and the addresses its recipient gave, by way."""

    delivery_id: UUID
    event_id: UUID
    recipient: str
    channel: str
    complaint_id: UUID
    state: str
    template: str
    ways: tuple[str, ...]
    addresses: Mapping[str, str]


async def take_turn(connection: Connection) -> None:
    """One transaction at a time: acceptances and receipts of the same parts must see each other."""
    await connection.execute(_TURN, _TURN_LOCK)


async def put(connection: Connection, new: Sequence[NewDelivery]) -> set[tuple[UUID, str]]:
    """Adds deliveries that are due at once; the (event id, recipient) of those that were not there."""
    rows = await connection.fetch(
        _PUT,
        [n.delivery_id for n in new],
        [n.event_id for n in new],
        [n.recipient for n in new],
        [n.channel for n in new],
        [n.complaint_id for n in new],
        ["due" for _ in new],
        [n.at for n in new],
    )
    return {(row["event_id"], row["recipient"]) for row in rows}


async def claim(connection: Connection, channel: str, now: datetime, lease: timedelta, limit: int) -> list[Claimed]:
    """Takes what is longest due. Until the lease runs out nobody else takes it; then, whoever comes first."""
    rows = await connection.fetch(_CLAIM, channel, now, lease, limit)
    return [Claimed(**{**row, "parts": {int(part): found for part, found in row["parts"].items()}}) for row in rows]


async def mark(connection: Connection, marks: Sequence[Mark], now: datetime) -> set[UUID]:
    """Writes down outcomes; the ids of those whose claim was still held. Accepted parts are kept in any case."""
    rows = await connection.fetch(
        _MARK,
        [m.claimed.delivery_id for m in marks],
        [m.claimed.claim for m in marks],
        [m.state for m in marks],
        [m.due_at for m in marks],
        [m.error for m in marks],
        now,
    )
    parts = [(m.claimed.delivery_id, part, found) for m in marks for part, found in m.claimed.parts.items()]
    if parts:
        await connection.execute(_PARTS, *map(list, zip(*parts, strict=True)))
    return {row["delivery_id"] for row in rows}


async def put_receipts(connection: Connection, receipts: Sequence[Receipt], now: datetime) -> list[UUID]:
    """Keeps receipts, whether their message is known or not yet; the deliveries they are about."""
    last = {receipt.provider_id: receipt.delivered for receipt in receipts}
    await connection.execute(_RECEIPTS, list(last), list(last.values()), now)
    return [row["delivery_id"] for row in await connection.fetch(_WITH_RECEIPTS, list(last))]


async def conclude(connection: Connection, delivery_ids: Iterable[UUID], now: datetime) -> list[UUID]:
    """Ends sent deliveries of which every part arrived, or one did not; their ids."""
    return [row["delivery_id"] for row in await connection.fetch(_CONCLUDE, list(delivery_ids), now)]


async def details(connection: Connection, delivery_ids: Iterable[UUID]) -> list[Details]:
    """These deliveries."""
    rows = await connection.fetch(_DETAILS, list(delivery_ids))
    found = []
    for row in rows:
        fields = dict(row)
        given = {"sms": fields.pop("phone"), "email": fields.pop("email")}
        addresses = {way: address for way, address in given.items() if address}
        found.append(Details(**{**fields, "ways": tuple(fields["ways"]), "addresses": addresses}))
    return found


async def mark_fallen_back(connection: Connection, delivery_ids: Sequence[UUID]) -> None:
    """Marks parked deliveries in whose place another channel is tried."""
    await connection.execute(_FALLEN_BACK, delivery_ids)


async def resend(connection: Connection, delivery_id: UUID, now: datetime) -> bool:
    """Makes a delivery due again as if it were new; False when there is none, or it is due anyway."""
    if await connection.fetchval(_RESEND, delivery_id, now) is None:
        return False
    await connection.execute(_FORGET_PARTS, delivery_id)
    return True


async def restore(connection: Connection, told: Sequence[tuple[UUID, UUID, str, UUID, str, datetime]]) -> None:
    """Rebuilds citizens' (delivery id, event id, channel, complaint id, state, when)."""
    await connection.execute(_RESTORE, *map(list, zip(*told, strict=True)), CITIZEN)


class DeliveryLog:
    """The reads of the API, on a pool of connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, state: str | None, reference: str | None, after: tuple[datetime | None, UUID | None], limit: int
    ) -> list[Row]:
        """A page, newest first; `after` is (since, delivery id) of the last row seen, or (None, None)."""
        return await self._database.fetch(_LIST, state, reference, *after, limit)

    async def counts(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        return {row["state"]: row["number"] for row in await self._database.fetch(_COUNTS)}
