"""The SQL of corrections: what officers decided is training data, with its provenance."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.database.pool import Connection

_READ = """
SELECT DISTINCT ON (complaint_id) complaint_id, round, text, coalesce(language, '') AS language,
       coalesce(administration, '') AS administration, nature, kind, coalesce(suggested, '') AS suggested,
       model_version, decided_at
FROM corrections ORDER BY complaint_id, round DESC
"""


@dataclass(frozen=True, slots=True)
class Correction:
    """The last decision of a person on a complaint; `administration` is empty when it was found inadmissible."""

    complaint_id: UUID
    round: int
    text: str
    language: str
    administration: str
    nature: str
    kind: str
    suggested: str
    model_version: str
    decided_at: datetime


async def read(connection: Connection) -> list[Correction]:
    """All corrections, one a complaint, by complaint id: the same table gives the same list."""
    return [Correction(**row) for row in await connection.fetch(_READ)]
