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
    AWAITING_CITIZEN = "awaiting_citizen"
    ANSWERED = "answered"


class CaseStatus(StrEnum):
    """Where a case stands: as its least advanced assignment, or as it ended."""

    RECEIVED = "received"
    IN_TRIAGE = "in_triage"
    PARKED = "parked"
    FORWARDED = "forwarded"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    AWAITING_CITIZEN = "awaiting_citizen"
    ANSWERED = "answered"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    INADMISSIBLE = "inadmissible"


ENDED = (CaseStatus.CLOSED, CaseStatus.WITHDRAWN, CaseStatus.INADMISSIBLE)
"""Nothing happens to a case any more."""

NOT_FORWARDED = (CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE, CaseStatus.PARKED)
"""No administration has the case yet."""

WORKED_ON = (
    CaseStatus.FORWARDED,
    CaseStatus.ACKNOWLEDGED,
    CaseStatus.IN_PROGRESS,
    CaseStatus.AWAITING_CITIZEN,
)
"""An administration has the case and has not answered."""


class ReplyAction(StrEnum):
    """What an administration may say about its own assignment."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    QUESTION = "question"
    ANSWERED = "answered"
    CLOSURE_PROPOSED = "closure_proposed"
    NOT_OURS = "not_ours"


class CitizenAction(StrEnum):
    """What a citizen may do with a complaint that is filed."""

    MESSAGE = "message"
    RATING = "rating"
    REOPENING = "reopening"
    WITHDRAWAL = "withdrawal"
    CONTACT = "contact"


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
    CITIZEN_ASKED = "citizen_asked"
    CITIZEN_WROTE = "citizen_wrote"
    QUESTION_EXPIRED = "question_expired"
    ANSWERED = "answered"
    CLOSURE_PROPOSED = "closure_proposed"
    RATED = "rated"
    REOPENED = "reopened"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    CONTACT_CHANGED = "contact_changed"
    TRIAGE_OVERDUE = "triage_overdue"
    FORWARD_DEADLINE_MISSED = "forward_deadline_missed"
    ANSWER_DEADLINE_APPROACHING = "answer_deadline_approaching"
    ANSWER_DEADLINE_MISSED = "answer_deadline_missed"
    ESCALATED = "escalated"


_UNANSWERED = (
    AssignmentStatus.FORWARDED,
    AssignmentStatus.ACKNOWLEDGED,
    AssignmentStatus.IN_PROGRESS,
    AssignmentStatus.AWAITING_CITIZEN,
)

REPLIES: dict[tuple[AssignmentStatus, ReplyAction], tuple[AssignmentStatus, Change]] = {
    (AssignmentStatus.FORWARDED, ReplyAction.ACKNOWLEDGED): (AssignmentStatus.ACKNOWLEDGED, Change.ACKNOWLEDGED),
    (AssignmentStatus.FORWARDED, ReplyAction.IN_PROGRESS): (AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (AssignmentStatus.ACKNOWLEDGED, ReplyAction.IN_PROGRESS): (AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (AssignmentStatus.AWAITING_CITIZEN, ReplyAction.IN_PROGRESS): (AssignmentStatus.IN_PROGRESS, Change.WORK_STARTED),
    (AssignmentStatus.FORWARDED, ReplyAction.QUESTION): (AssignmentStatus.AWAITING_CITIZEN, Change.CITIZEN_ASKED),
    (AssignmentStatus.ACKNOWLEDGED, ReplyAction.QUESTION): (AssignmentStatus.AWAITING_CITIZEN, Change.CITIZEN_ASKED),
    (AssignmentStatus.IN_PROGRESS, ReplyAction.QUESTION): (AssignmentStatus.AWAITING_CITIZEN, Change.CITIZEN_ASKED),
    **{(s, ReplyAction.ANSWERED): (AssignmentStatus.ANSWERED, Change.ANSWERED) for s in _UNANSWERED},
    **{(s, ReplyAction.CLOSURE_PROPOSED): (AssignmentStatus.ANSWERED, Change.CLOSURE_PROPOSED) for s in _UNANSWERED},
}
"""The replies an administration may give: (assignment status, action) → (new status, change). All else is refused."""

TEXT_NEEDED = (ReplyAction.QUESTION, ReplyAction.ANSWERED, ReplyAction.CLOSURE_PROPOSED, ReplyAction.NOT_OURS)
"""These replies are nothing without their text."""

_ALIVE = (*NOT_FORWARDED, *WORKED_ON)

CITIZEN_ACTIONS: dict[CitizenAction, tuple[CaseStatus, ...]] = {
    CitizenAction.MESSAGE: _ALIVE,
    CitizenAction.RATING: (CaseStatus.ANSWERED,),
    CitizenAction.REOPENING: (CaseStatus.ANSWERED,),
    CitizenAction.WITHDRAWAL: (*_ALIVE, CaseStatus.ANSWERED),
    CitizenAction.CONTACT: (*_ALIVE, CaseStatus.ANSWERED),
}
"""In which statuses of a case a citizen may do what. All else is refused."""

RETURNABLE = _UNANSWERED
"""From these an administration may say `not_ours`: the assignment ends, and the complaint looks for its owner again."""

HOPS_BEFORE_A_PERSON = 2
"""After so many administrations said `not_ours`, only a person decides who is next."""

_PROGRESS = tuple(AssignmentStatus)


def case_status(
    assignments: Iterable[AssignmentStatus], *, in_triage: bool = False, ended: CaseStatus | None = None
) -> CaseStatus:
    """The status of a case, a pure function of its assignments (and, while it has none, of who holds it).

    `ended` is one of ENDED for a case that is over.
    """
    if ended is not None:
        return ended
    least_advanced = min(assignments, key=_PROGRESS.index, default=None)
    if least_advanced is not None:
        return CaseStatus(least_advanced.value)
    return CaseStatus.IN_TRIAGE if in_triage else CaseStatus.RECEIVED
