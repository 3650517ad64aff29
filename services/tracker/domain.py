"""What the tracker answers. Pure."""

from typing import Any

from shared.contracts.administrations import registry
from shared.contracts.events import CaseChanged

LONGEST_PAGE = 200


def holder(case: CaseChanged) -> tuple[str | None, str | None]:
    """(administration, on behalf of whom) of the assignment that leads."""
    if not case.assignments:
        return None, None
    return case.assignments[0].administration, case.assignments[0].on_behalf_of


def answer_of(case: CaseChanged) -> str | None:
    """The answer, once every assignment has one; or why there will be none."""
    if case.inadmissible_reason is not None:
        return case.inadmissible_reason
    answers = [assignment.answer for assignment in case.assignments]
    return "\n\n".join(a for a in answers if a) if answers and all(answers) else None


def named(code: str | None) -> dict[str, Any] | None:
    """A code with its names."""
    if code is None:
        return None
    body = registry().get(code)
    return {"code": code, "name_fr": body.name_fr if body else code, "name_ar": body.name_ar if body else code}
