"""Who holds a complaint: whoever shows its reference and its access code."""

from uuid import UUID

from services.intake.store import IntakeQueries, Stored
from shared.contracts.reference import AccessCodes, parse_reference
from shared.runtime.problems import Problem

_NOBODYS = UUID(int=0)


async def credited(queries: IntakeQueries, codes: AccessCodes, reference: str, access_code: str) -> Stored:
    """The submission. A wrong reference and a wrong code are the same 404 and take the same time."""
    canonical = parse_reference(reference)
    stored = None if canonical is None else await queries.by_reference(canonical)
    complaint_id, key, issue = _NOBODYS, codes.current, 1
    if stored is not None and stored.access_code_key in codes.keys:
        complaint_id, key, issue = stored.complaint_id, stored.access_code_key, stored.access_code_issue
    if not codes.matches(access_code, complaint_id, key, issue) or stored is None or complaint_id == _NOBODYS:
        raise Problem(404, "not-found")
    return stored
