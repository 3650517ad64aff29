"""The SQL of the classifier."""

from collections.abc import Sequence

from shared.contracts.events import ComplaintClassified
from shared.database.pool import Connection

_INSERT = """
INSERT INTO classifications (complaint_id, decision, administration, confidence, model_version)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::text[])
ON CONFLICT (complaint_id) DO NOTHING
"""


async def insert(connection: Connection, classified: Sequence[ComplaintClassified]) -> None:
    """Keeps classifications; a complaint's first one stays."""
    await connection.execute(
        _INSERT,
        [c.complaint_id for c in classified],
        [c.decision.value for c in classified],
        [c.administration for c in classified],
        [c.candidates[0].confidence if c.candidates else 0.0 for c in classified],
        [c.model_version for c in classified],
    )
