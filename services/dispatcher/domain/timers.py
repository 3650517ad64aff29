"""What a timer does to its case. Pure."""

from datetime import datetime

from services.dispatcher.domain.case import hand_to, next_version, work_resumed
from services.dispatcher.domain.clocks import Policy, Timer, TimerKind
from services.dispatcher.domain.directory import Directory
from shared.contracts.administrations import MUNICIPAL_FALLBACK
from shared.contracts.envelope import derived_id
from shared.contracts.events import AssignmentState, CaseChanged, Notice
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change

NOTICES = {
    TimerKind.ANSWER_REMINDER: Notice.ANSWER_DUE_SOON,
    TimerKind.ANSWER_MISSED: Notice.ANSWER_OVERDUE,
    TimerKind.ESCALATION: Notice.ESCALATED,
}
"""Of these timers the administration that has the case is told."""

_CHANGES = {
    TimerKind.TRIAGE_OVERDUE: Change.TRIAGE_OVERDUE,
    TimerKind.FORWARD_MISSED: Change.FORWARD_DEADLINE_MISSED,
    TimerKind.ANSWER_REMINDER: Change.ANSWER_DEADLINE_APPROACHING,
    TimerKind.ANSWER_MISSED: Change.ANSWER_DEADLINE_MISSED,
}


def fire(case: CaseChanged, timer: Timer, directory: Directory, policy: Policy, now: datetime) -> CaseChanged:
    """The case after a timer."""
    case = case.model_copy(update={"timers_fired": (*case.timers_fired, timer.name)})
    if timer.kind is TimerKind.TAKE_OVER:
        (parked,) = case.assignments
        taker = directory.nearest(parked.administration, case.against)
        return _handed_over(case, timer, taker, parked.administration, policy, now)
    if timer.kind is TimerKind.FORCED_FORWARD:
        return _forced(case, timer, directory, policy, now)
    if timer.kind is TimerKind.QUESTION_EXPIRED:
        return next_version(case, Change.QUESTION_EXPIRED, now, assignments=work_resumed(case, now))
    if timer.kind is TimerKind.CLOSE:
        return next_version(case, Change.CLOSED, now, ended=CaseStatus.CLOSED)
    if timer.kind is TimerKind.ESCALATION:
        return next_version(case, Change.ESCALATED, now, escalation_level=case.escalation_level + 1)
    return next_version(case, _CHANGES[timer.kind], now)


def _forced(case: CaseChanged, timer: Timer, directory: Directory, policy: Policy, now: datetime) -> CaseChanged:
    """To the best suggestion above the floor that has not refused, or who stands in for it; else the last resort."""
    suggested = (
        candidate.administration
        for candidate in case.candidates
        if candidate.confidence >= policy.suggestion_floor
        and candidate.administration not in case.refused
        and candidate.administration in directory.parents
    )
    code = next(suggested, MUNICIPAL_FALLBACK)
    taker = directory.nearest(code, case.against)
    return _handed_over(case, timer, taker, code, policy, now)


def _handed_over(case: CaseChanged, timer: Timer, taker: str, meant: str, policy: Policy, now: datetime) -> CaseChanged:
    assignment = AssignmentState(
        assignment_id=derived_id(case.complaint_id, f"assignment-{timer.name}"),
        administration=taker,
        on_behalf_of=meant if meant != taker else None,
        status=AssignmentStatus.FORWARDED,
        assigned_at=now,
        status_since=now,
    )
    return hand_to(case, assignment, policy, now)
