"""The life of a case: its statuses, the changes allowed, and the status of a case as a function of its assignments.

The dispatcher is the only writer of cases; everybody else reads these words in `complaints.lifecycle`.
"""

from collections.abc import Iterable
from enum import StrEnum


class AssignmentStatus(StrEnum):
    """Where the work of one administration on one case stands."""

    PARKED = "parked"
    FORWARDED = "forwarded"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"


class CaseStatus(StrEnum):
    """Where a case stands. A case with assignments has the status of the least advanced of them."""

    RECEIVED = "received"
    IN_TRIAGE = "in_triage"
    INADMISSIBLE = "inadmissible"
    PARKED = "parked"
    FORWARDED = "forwarded"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"


class ReplyAction(StrEnum):
    """What an administration may say about its own assignment."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    NOT_OURS = "not_ours"


class Change(StrEnum):
    """What happened to a case: the reason of each new version of it."""

    OPENED = "opened"
    SENT_TO_TRIAGE = "sent_to_triage"
    FOUND_INADMISSIBLE = "found_inadmissible"
    PARKED = "parked"
    FORWARDED = "forwarded"
    RETURNED = "returned"
    ACKNOWLEDGED = "acknowledged"
    WORK_STARTED = "work_started"
    ANSWERED = "answered"
    TRIAGE_OVERDUE = "triage_overdue"
    FORWARD_DEADLINE_MISSED = "forward_deadline_missed"
    ANSWER_DEADLINE_APPROACHING = "answer_deadline_approaching"
    ANSWER_DEADLINE_MISSED = "answer_deadline_missed"


REPLIES: dict[tuple[AssignmentStatus, ReplyAction], tuple[AssignmentStatus, Change]] = {
    (AssignmentStatus.FORWARDED, ReplyAction.ACKNOWLEDGED): (AssignmentStatus.ACKNOWLEDGED, Change.ACKNOWLEDGED),
    (AssignmentStatus.FORWARDED, ReplyAction.IN_PROGRESS): (AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (AssignmentStatus.FORWARDED, ReplyAction.ANSWERED): (AssignmentStatus.ANSWERED, Change.ANSWERED),
    (AssignmentStatus.ACKNOWLEDGED, ReplyAction.IN_PROGRESS): (AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (AssignmentStatus.ACKNOWLEDGED, ReplyAction.ANSWERED): (AssignmentStatus.ANSWERED, Change.ANSWERED),
    (AssignmentStatus.IN_PROGRESS, ReplyAction.ANSWERED): (AssignmentStatus.ANSWERED, Change.ANSWERED),
}
"""The replies an administration may give: (assignment status, action) → (new status, change). All else is refused."""

RETURNABLE = (AssignmentStatus.FORWARDED, AssignmentStatus.ACKNOWLEDGED, AssignmentStatus.IN_PROGRESS)
"""From these an administration may say `not_ours`: the assignment ends, and the complaint looks for its owner again."""

HOPS_BEFORE_A_PERSON = 2
"""After so many administrations said `not_ours`, only a person decides who is next."""

_PROGRESS = tuple(AssignmentStatus)


def case_status(
    assignments: Iterable[AssignmentStatus], *, in_triage: bool = False, inadmissible: bool = False
) -> CaseStatus:
    """The status of a case, a pure function of its assignments (and, while it has none, of who holds it)."""
    if inadmissible:
        return CaseStatus.INADMISSIBLE
    least_advanced = min(assignments, key=_PROGRESS.index, default=None)
    if least_advanced is not None:
        return CaseStatus(least_advanced.value)
    return CaseStatus.IN_TRIAGE if in_triage else CaseStatus.RECEIVED
