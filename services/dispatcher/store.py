"""The SQL of the dispatcher."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from services.dispatcher.domain.clocks import Policy
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import (
    CaseChanged,
    CitizenActed,
    ComplaintClassified,
    ComplaintSubmitted,
    Notice,
    PersonalData,
)
from shared.database.pool import Connection

_LOCK = "SELECT state, submitted FROM cases WHERE complaint_id = ANY($1::uuid[]) ORDER BY complaint_id FOR UPDATE"
_SAVE = """
INSERT INTO cases (complaint_id, version, state, submitted, next_due)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::jsonb[], $4::jsonb[], $5::timestamptz[])
ON CONFLICT (complaint_id) DO UPDATE
SET version = excluded.version, state = excluded.state, submitted = coalesce(excluded.submitted, cases.submitted),
    next_due = excluded.next_due
WHERE cases.version < excluded.version OR cases.version = excluded.version AND cases.submitted IS NULL
RETURNING complaint_id
"""
_DUE = """
SELECT state, submitted FROM cases WHERE next_due <= $1 AND submitted IS NOT NULL
ORDER BY next_due LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_RESCHEDULE = """
UPDATE cases SET next_due = moved.next_due
FROM unnest($1::uuid[], $2::timestamptz[]) AS moved (complaint_id, next_due)
WHERE cases.complaint_id = moved.complaint_id
"""
_SAVE_ASSIGNMENTS = """
INSERT INTO assignments (assignment_id, complaint_id, administration, status, received_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (assignment_id) DO UPDATE SET status = excluded.status WHERE assignments.status <> excluded.status
"""
_ASSIGNED = """
SELECT assignment_id, complaint_id, administration FROM assignments WHERE assignment_id = ANY($1::uuid[])
"""
_PUT_PENDING = """
INSERT INTO pending_inputs (complaint_id, event_id, happened_at, type, data)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::jsonb[])
ON CONFLICT (event_id) DO NOTHING
"""
_TAKE_PENDING = """
DELETE FROM pending_inputs WHERE complaint_id = ANY($1::uuid[])
RETURNING complaint_id, event_id, happened_at, type, data
"""
_REGISTER_MESSAGES = """
INSERT INTO administration_messages (administration, external_id, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING
"""
_MESSAGES = """
SELECT administration, external_id, event_id FROM administration_messages
WHERE (administration, external_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""


_PUT_MESSAGES = """
INSERT INTO messages (action_id, complaint_id, acted_at, notice, personal)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::jsonb[]) ON CONFLICT DO NOTHING
"""
_MESSAGES_OF = """
SELECT action_id, complaint_id, acted_at, notice, personal FROM messages
WHERE complaint_id = ANY($1::uuid[]) ORDER BY acted_at, action_id
"""

_PENDING: dict[str, type[ComplaintClassified] | type[CitizenActed]] = {
    ComplaintClassified.TYPE: ComplaintClassified,
    CitizenActed.TYPE: CitizenActed,
}
_SOURCES = {ComplaintClassified.TYPE: "/chikaya/classifier", CitizenActed.TYPE: "/chikaya/intake"}
_PERSONAL: TypeAdapter[PersonalData] = TypeAdapter(PersonalData)


class Message(NamedTuple):
    """What a citizen wrote about a complaint, for whoever has it."""

    action_id: UUID
    acted_at: datetime
    notice: Notice
    personal: PersonalData


@dataclass(slots=True)
class StoredCase:
    """A case and the submission it came from; None after a restore, until the submission is read again."""

    state: CaseChanged
    submitted: ComplaintSubmitted | None


async def lock(
    connection: Connection, complaint_ids: Iterable[UUID], *, skip_locked: bool = False
) -> dict[UUID, StoredCase]:
    """Locks cases in order of their ids, waiting for those that are busy or passing over them."""
    query = f"{_LOCK} SKIP LOCKED" if skip_locked else _LOCK
    return _cases(await connection.fetch(query, sorted(set(complaint_ids))))


async def lock_due(connection: Connection, now: datetime, limit: int) -> dict[UUID, StoredCase]:
    """Locks the cases whose next timer is due, the longest due first, passing over those that are busy."""
    return _cases(await connection.fetch(_DUE, now, limit))


def _cases(rows: Sequence[asyncpg.Record]) -> dict[UUID, StoredCase]:
    cases = (
        StoredCase(
            CaseChanged.model_validate(row["state"]),
            None if row["submitted"] is None else ComplaintSubmitted.model_validate(row["submitted"]),
        )
        for row in rows
    )
    return {case.state.complaint_id: case for case in cases}


async def save(connection: Connection, cases: Mapping[UUID, StoredCase], policy: Policy) -> None:
    """Stores cases whose version is higher than the stored one, with the moment of their next timer."""
    states = [case.state for case in cases.values()]
    stored = await connection.fetch(
        _SAVE,
        list(cases),
        [state.version for state in states],
        [state.model_dump(mode="json") for state in states],
        [None if c.submitted is None else c.submitted.model_dump(mode="json") for c in cases.values()],
        [_next_due(state, policy) for state in states],
    )
    newer = {row["complaint_id"] for row in stored}
    assignments = [
        (a.assignment_id, s.complaint_id, a.administration, a.status.value, s.received_at)
        for s in states
        if s.complaint_id in newer
        for a in s.assignments
    ]
    if assignments:
        await connection.execute(_SAVE_ASSIGNMENTS, *map(list, zip(*assignments, strict=True)))


async def assigned(connection: Connection, assignment_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """(complaint id, administration) of each known assignment."""
    rows = await connection.fetch(_ASSIGNED, assignment_ids)
    return {row["assignment_id"]: (row["complaint_id"], row["administration"]) for row in rows}


async def reschedule(connection: Connection, cases: Sequence[StoredCase], policy: Policy) -> None:
    """Stores anew when the next timers are due, for cases under a policy that has changed."""
    states = [case.state for case in cases]
    await connection.execute(_RESCHEDULE, [s.complaint_id for s in states], [_next_due(s, policy) for s in states])


def _next_due(state: CaseChanged, policy: Policy) -> datetime | None:
    return next((timer.due_at for timer in policy.timers(state)), None)


async def put_pending(connection: Connection, early: Sequence[AnyEvent]) -> None:
    """Keeps inputs whose case is not open yet."""
    await connection.execute(
        _PUT_PENDING,
        [event.subject for event in early],
        [event.id for event in early],
        [event.time for event in early],
        [event.data.TYPE for event in early],
        [event.data.model_dump(mode="json") for event in early],
    )


async def take_pending(connection: Connection, complaint_ids: Sequence[UUID]) -> list[AnyEvent]:
    """Takes the inputs that waited for these cases."""
    return [
        Event(
            id=row["event_id"],
            source=_SOURCES[row["type"]],
            subject=row["complaint_id"],
            time=row["happened_at"],
            causation_id=row["event_id"],
            data=_PENDING[row["type"]].model_validate(row["data"]),
        )
        for row in await connection.fetch(_TAKE_PENDING, complaint_ids)
    ]


async def put_messages(connection: Connection, messages: Sequence[tuple[UUID, Message]]) -> None:
    """Keeps (complaint id, message), each once."""
    if not messages:
        return
    await connection.execute(
        _PUT_MESSAGES,
        [message.action_id for _, message in messages],
        [complaint_id for complaint_id, _ in messages],
        [message.acted_at for _, message in messages],
        [message.notice.value for _, message in messages],
        [message.personal.model_dump(mode="json") for _, message in messages],
    )


async def messages_of(connection: Connection, complaint_ids: Sequence[UUID]) -> dict[UUID, list[Message]]:
    """What the citizens of these complaints wrote, in order."""
    found: dict[UUID, list[Message]] = {}
    for row in await connection.fetch(_MESSAGES_OF, complaint_ids):
        personal = _PERSONAL.validate_python(row["personal"])
        message = Message(row["action_id"], row["acted_at"], Notice(row["notice"]), personal)
        found.setdefault(row["complaint_id"], []).append(message)
    return found


async def register_messages(
    connection: Connection, messages: Sequence[tuple[str, str, UUID]]
) -> dict[tuple[str, str], UUID]:
    """Registers (administration, ce_id, event id); the event id that each (administration, ce_id) stands for."""
    codes, external_ids, event_ids = map(list, zip(*messages, strict=True))
    await connection.execute(_REGISTER_MESSAGES, codes, external_ids, event_ids)
    rows = await connection.fetch(_MESSAGES, codes, external_ids)
    return {(row["administration"], row["external_id"]): row["event_id"] for row in rows}
