"""Who holds a complaint: whoever shows its reference and its access code."""

from uuid import UUID

from services.intake.limits import Limits
from services.intake.store import IntakeQueries, Stored
from shared.contracts.reference import AccessCodes, parse_reference
from shared.runtime.problems import Problem

_NOBODYS = UUID(int=0)


class Credentials:
    """Checks them."""

    def __init__(self, queries: IntakeQueries, codes: AccessCodes, limits: Limits) -> None:
        self._queries = queries
        self._codes = codes
        self._limits = limits

    async def holder(self, reference: str, access_code: str) -> Stored:
        """The submission. A wrong reference and a wrong code are the same 404, take the same time and count alike."""
        canonical = parse_reference(reference)
        if canonical is not None:
            self._limits.before_code(canonical)
        stored = None if canonical is None else await self._queries.by_reference(canonical)
        complaint_id, key, issue = _NOBODYS, self._codes.current, 1
        if stored is not None and stored.access_code_key in self._codes.keys:
            complaint_id, key, issue = stored.complaint_id, stored.access_code_key, stored.access_code_issue
        right = self._codes.matches(access_code, complaint_id, key, issue)
        if right and stored is not None and complaint_id != _NOBODYS:
            return stored
        if canonical is not None:
            self._limits.wrong_code(canonical)
        raise Problem(404, "not-found")
