"""The SQL of classifications: what was decided last on each complaint, and by whom."""

from collections.abc import Sequence
from uuid import UUID

from shared.contracts.events import ComplaintClassified, TriageRequested
from shared.database.pool import Connection

_PUT = """
INSERT INTO classifications (complaint_id, decision, administration, confidence, model_version, decided_by, round)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::int[])
ON CONFLICT (complaint_id) DO UPDATE
SET decision = excluded.decision, administration = excluded.administration, confidence = excluded.confidence,
    model_version = excluded.model_version, decided_by = excluded.decided_by, round = excluded.round
WHERE classifications.round < excluded.round
   OR classifications.round = excluded.round AND classifications.decided_by < excluded.decided_by
"""
_KNOWN = "SELECT complaint_id, round FROM classifications WHERE complaint_id = ANY($1::uuid[])"
_REFUSE = """
INSERT INTO refusals (complaint_id, round, administration, reason)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
"""
_FOR_A_PERSON = """
SELECT complaint_id FROM classifications
WHERE complaint_id = ANY($1::uuid[]) AND decision = 'triage' AND decided_by = 'model'
"""


async def known(connection: Connection, complaint_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The last round in which each of these complaints was classified, if it was."""
    return {row["complaint_id"]: row["round"] for row in await connection.fetch(_KNOWN, complaint_ids)}


async def put(connection: Connection, classified: Sequence[ComplaintClassified]) -> None:
    """Keeps the last classification of each complaint: of the highest round, and there an officer's if there is one.

    In SQL as here `model` sorts before `officer`.
    """
    last = {c.complaint_id: c for c in sorted(classified, key=lambda c: (c.round, c.decided_by))}
    rows = list(last.values())
    await connection.execute(
        _PUT,
        [c.complaint_id for c in rows],
        [c.decision.value for c in rows],
        [c.administration for c in rows],
        [c.candidates[0].confidence if c.candidates else 0.0 for c in rows],
        [c.model_version for c in rows],
        [c.decided_by.value for c in rows],
        [c.round for c in rows],
    )


async def for_a_person(connection: Connection, complaint_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these complaints the model left to a person who has not decided yet."""
    return {row["complaint_id"] for row in await connection.fetch(_FOR_A_PERSON, complaint_ids)}


async def put_refusals(connection: Connection, requests: Sequence[TriageRequested]) -> None:
    """Keeps who said `not_ours` and why: a label too."""
    await connection.execute(
        _REFUSE,
        [r.complaint_id for r in requests],
        [r.round for r in requests],
        [r.refused[-1] for r in requests],
        [r.reason for r in requests],
    )
