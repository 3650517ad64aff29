"""The SQL of the triage desk."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from services.classifier.domain.triage import CLAIM, OfficerDecision, TriageItem
from shared.contracts.envelope import Event
from shared.contracts.events import Candidate, ComplaintClassified, Kind, Language, Nature
from shared.database.pool import Connection, Database

MOST_DUE = 200
"""Most decisions published in one transaction."""

_ITEM = (
    "complaint_id, round, reference, received_at, subject, text, kind, nature, language, candidates, evidence, reason, "
    "model_version"
)
_PUT = f"""
INSERT INTO triage_items ({_ITEM})
SELECT complaint_id, round, reference, received_at, subject, text, kind, nature, language, candidates::jsonb,
       ARRAY(SELECT jsonb_array_elements_text(evidence::jsonb)), reason, model_version
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::int[])
     AS row (complaint_id, reference, received_at, subject, text, kind, nature, language, candidates, evidence, reason,
             model_version, round)
ON CONFLICT (complaint_id) DO UPDATE
SET round = excluded.round, candidates = excluded.candidates, evidence = excluded.evidence, reason = excluded.reason,
    model_version = excluded.model_version, claimed_by = NULL, claimed_until = NULL, decision = NULL,
    publish_at = NULL, published_at = NULL
WHERE triage_items.round < excluded.round
"""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_HELD = f"""
SELECT {_ITEM} FROM triage_items
WHERE claimed_by = $1 AND claimed_until > $2 AND decision IS NULL AND published_at IS NULL
ORDER BY received_at LIMIT 1
"""
_CLAIM = f"""
UPDATE triage_items SET claimed_by = $1, claimed_until = $3
WHERE complaint_id = (
    SELECT complaint_id FROM triage_items
    WHERE published_at IS NULL AND decision IS NULL AND (claimed_until IS NULL OR claimed_until <= $2)
    ORDER BY received_at, complaint_id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING {_ITEM}
"""
_DECIDE = """
UPDATE triage_items SET decision = $4, publish_at = $5, claimed_until = greatest(claimed_until, $5)
WHERE complaint_id = $1 AND claimed_by = $2 AND claimed_until > $3 AND published_at IS NULL
RETURNING publish_at
"""
_UNDO = """
UPDATE triage_items SET decision = NULL, publish_at = NULL, claimed_until = $4
WHERE complaint_id = $1 AND claimed_by = $2 AND decision IS NOT NULL AND publish_at > $3 AND published_at IS NULL
RETURNING complaint_id
"""
_RELEASE = """
UPDATE triage_items SET claimed_by = NULL, claimed_until = NULL
WHERE complaint_id = $1 AND claimed_by = $2 AND decision IS NULL RETURNING complaint_id
"""
_DUE = f"""
SELECT {_ITEM}, decision, claimed_by FROM triage_items
WHERE decision IS NOT NULL AND published_at IS NULL AND publish_at <= $1
ORDER BY publish_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_PUBLISHED = "UPDATE triage_items SET published_at = $2 WHERE complaint_id = ANY($1::uuid[])"
_CORRECT = """
INSERT INTO corrections (complaint_id, text, language, administration, nature, kind, decision, suggested, model_version,
                         decided_by, decided_at, round)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[], $11::timestamptz[], $12::int[])
ON CONFLICT (complaint_id, round) DO NOTHING
"""
_RESTORE = """
UPDATE triage_items SET published_at = now() FROM unnest($1::uuid[], $2::int[]) AS decided (complaint_id, round)
WHERE triage_items.complaint_id = decided.complaint_id AND triage_items.round = decided.round
"""
_WAITING = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE claimed_until > $1) AS held, min(received_at) AS oldest
FROM triage_items WHERE published_at IS NULL AND decision IS NULL
"""


async def put(connection: Connection, items: Sequence[TriageItem]) -> None:
    """Adds complaints to the queue; one that is or was there in this round or a later one stays as it is."""
    items = list({item.complaint_id: item for item in sorted(items, key=lambda item: item.round)}.values())
    await connection.execute(
        _PUT,
        [item.complaint_id for item in items],
        [item.reference for item in items],
        [item.received_at for item in items],
        [item.subject for item in items],
        [item.text for item in items],
        [item.kind.value for item in items],
        [item.nature.value for item in items],
        [None if item.language is None else item.language.value for item in items],
        [_json([candidate.model_dump() for candidate in item.candidates]) for item in items],
        [_json(item.evidence) for item in items],
        [item.reason for item in items],
        [item.model_version for item in items],
        [item.round for item in items],
    )


async def publish_due(connection: Connection, now: datetime) -> list[tuple[TriageItem, OfficerDecision]]:
    """Takes the decisions whose hold is over, locked and marked as published, with their corrections stored."""
    rows = await connection.fetch(_DUE, now, MOST_DUE)
    if not rows:
        return []
    due = [(_item(row), OfficerDecision.model_validate(row["decision"]), row["claimed_by"]) for row in rows]
    await connection.execute(_PUBLISHED, [item.complaint_id for item, _, _ in due], now)
    await connection.execute(
        _CORRECT,
        [item.complaint_id for item, _, _ in due],
        [f"{item.subject}\n{item.text}" for item, _, _ in due],
        [None if item.language is None else item.language.value for item, _, _ in due],
        [decision.administration for _, decision, _ in due],
        [(decision.nature or item.nature).value for item, decision, _ in due],
        [item.kind.value for item, _, _ in due],
        [decision.decision.value for _, decision, _ in due],
        [item.candidates[0].administration if item.candidates else None for item, _, _ in due],
        [item.model_version for item, _, _ in due],
        [officer for _, _, officer in due],
        [now for _ in due],
        [item.round for item, _, _ in due],
    )
    return [(item, decision) for item, decision, _ in due]


async def restore(connection: Connection, decisions: Sequence[Event[ComplaintClassified]]) -> None:
    """Marks complaints as decided, after the database went back in time."""
    await connection.execute(_RESTORE, [e.subject for e in decisions], [e.data.round for e in decisions])


class TriageQueue:
    """What the API asks of the queue; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, officer: str, now: datetime) -> TriageItem | None:
        """What the officer holds already, else the complaint with the nearest deadline that nobody holds."""

        async def work(connection: Connection) -> TriageItem | None:
            await connection.execute(_ONE_AT_A_TIME, officer)
            row = await connection.fetchrow(_HELD, officer, now)
            if row is None:
                row = await connection.fetchrow(_CLAIM, officer, now, now + CLAIM)
            return None if row is None else _item(row)

        return await self._database.run(work)

    async def decide(
        self, complaint_id: UUID, officer: str, decision: OfficerDecision, now: datetime, publish_at: datetime
    ) -> bool:
        """Stores the decision of the officer who holds the complaint; whether that is so."""
        rows = await self._database.fetch(
            _DECIDE, complaint_id, officer, now, decision.model_dump(mode="json"), publish_at
        )
        return bool(rows)

    async def undo(self, complaint_id: UUID, officer: str, now: datetime) -> bool:
        """Takes the officer's decision back while its hold lasts; whether it did."""
        return bool(await self._database.fetch(_UNDO, complaint_id, officer, now, now + CLAIM))

    async def release(self, complaint_id: UUID, officer: str) -> bool:
        """Gives a complaint back to the queue; whether the officer held it."""
        return bool(await self._database.fetch(_RELEASE, complaint_id, officer))

    async def waiting(self, now: datetime) -> tuple[int, int, datetime | None]:
        """(complaints waiting, of which held by an officer, when the oldest was received)."""
        row = (await self._database.fetch(_WAITING, now))[0]
        return row["waiting"], row["held"], row["oldest"]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _item(row: asyncpg.Record) -> TriageItem:
    return TriageItem(
        complaint_id=row["complaint_id"],
        round=row["round"],
        reference=row["reference"],
        received_at=row["received_at"],
        subject=row["subject"],
        text=row["text"],
        kind=Kind(row["kind"]),
        nature=Nature(row["nature"]),
        language=None if row["language"] is None else Language(row["language"]),
        candidates=tuple(Candidate.model_validate(candidate) for candidate in row["candidates"]),
        evidence=tuple(row["evidence"]),
        reason=row["reason"],
        model_version=row["model_version"],
    )
