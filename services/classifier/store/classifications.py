"""The SQL of classifications: what was decided last on each complaint, and by whom."""

from collections.abc import Sequence
from uuid import UUID

from shared.contracts.events import ComplaintClassified, DecidedBy
from shared.database.pool import Connection

_PUT = """
INSERT INTO classifications (complaint_id, decision, administration, confidence, model_version, decided_by)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[])
ON CONFLICT (complaint_id) DO UPDATE
SET decision = excluded.decision, administration = excluded.administration, decided_by = excluded.decided_by
WHERE classifications.decided_by = 'model' AND excluded.decided_by = 'officer'
"""
_KNOWN = "SELECT complaint_id FROM classifications WHERE complaint_id = ANY($1::uuid[])"
_FOR_A_PERSON = """
SELECT complaint_id FROM classifications
WHERE complaint_id = ANY($1::uuid[]) AND decision = 'triage' AND decided_by = 'model'
"""


async def known(connection: Connection, complaint_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these complaints have a classification."""
    return {row["complaint_id"] for row in await connection.fetch(_KNOWN, complaint_ids)}


async def put(connection: Connection, classified: Sequence[ComplaintClassified]) -> None:
    """Keeps the classification of each complaint: the model's first, replaced by an officer's only."""
    last = {c.complaint_id: c for c in sorted(classified, key=lambda c: c.decided_by is DecidedBy.OFFICER)}
    rows = list(last.values())
    await connection.execute(
        _PUT,
        [c.complaint_id for c in rows],
        [c.decision.value for c in rows],
        [c.administration for c in rows],
        [c.candidates[0].confidence if c.candidates else 0.0 for c in rows],
        [c.model_version for c in rows],
        [c.decided_by.value for c in rows],
    )


async def for_a_person(connection: Connection, complaint_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these complaints the model left to a person who has not decided yet."""
    return {row["complaint_id"] for row in await connection.fetch(_FOR_A_PERSON, complaint_ids)}
