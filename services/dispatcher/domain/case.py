"""The rules of a case: its deadlines, who gets it, and what an administration may say about it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.dispatcher.domain.clocks import Policy, Timer, TimerKind
from shared.contracts.administrations import MUNICIPAL, MUNICIPAL_FALLBACK
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import (
    AdministrationReplied,
    AssignmentForwarded,
    AssignmentState,
    CaseChanged,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Nature,
    Place,
    TriageRequested,
)
from shared.contracts.lifecycle import REPLIES, RETURNABLE, AssignmentStatus, Change, ReplyAction, case_status

SOURCE = "/chikaya/dispatcher"

_COMMUNE = "commune-"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a message of an administration is refused."""

    reason: str
    detail: str


def open_case(submitted: ComplaintSubmitted, policy: Policy) -> CaseChanged:
    """Version 1 of a case: the clocks start."""
    return CaseChanged(
        complaint_id=submitted.complaint_id,
        reference=submitted.reference,
        version=1,
        change=Change.OPENED,
        status=case_status(()),
        received_at=submitted.received_at,
        changed_at=submitted.received_at,
        kind=submitted.kind,
        deadlines=policy.deadlines(submitted.received_at),
    )


def resolve(administration: str, place: Place | None, onboarded: Collection[str]) -> str:
    """Who answers: a municipal matter is its commune's, or the fallback's until that is on board."""
    if administration == MUNICIPAL:
        administration = f"{_COMMUNE}{place.commune if place else None}"
    if not administration.startswith(_COMMUNE):
        return administration
    return administration if administration in onboarded else MUNICIPAL_FALLBACK


def may_assign(case: CaseChanged, classified: ComplaintClassified) -> bool:
    """Whether a classification matters: nobody has the case, and it was made after the last `not_ours`."""
    if case.assignments or case.inadmissible_reason is not None or classified.round != case.hops:
        return False
    return not (case.in_triage and classified.decision is Decision.TRIAGE)


def assign(
    case: CaseChanged,
    classified: Event[ComplaintClassified],
    place: Place | None,
    onboarded: Collection[str],
    now: datetime,
) -> CaseChanged:
    """The case after its classification: forwarded, parked until the body is on board, or in triage."""
    data = classified.data
    case = case.model_copy(update={"candidates": data.candidates})
    if data.decision is Decision.INADMISSIBLE:
        reason = data.message or ""
        return _next(case, Change.FOUND_INADMISSIBLE, (), now, nature=data.nature, inadmissible_reason=reason)
    if data.decision is not Decision.ROUTE or data.administration is None:
        return _next(case, Change.SENT_TO_TRIAGE, (), now, nature=data.nature, in_triage=True)
    administration = resolve(data.administration, place, onboarded)
    ready = administration in onboarded
    assignment = AssignmentState(
        assignment_id=derived_id(classified.id, "assignment"),
        administration=administration,
        status=AssignmentStatus.FORWARDED if ready else AssignmentStatus.PARKED,
        assigned_at=now,
        status_since=now,
    )
    change = Change.FORWARDED if ready else Change.PARKED
    return _next(case, change, (assignment,), now, nature=data.nature)


def forwarded(case: CaseChanged, assignment: AssignmentState, submitted: ComplaintSubmitted) -> AssignmentForwarded:
    """What the administration gets in its inbox."""
    return AssignmentForwarded(
        assignment_id=assignment.assignment_id,
        complaint_id=case.complaint_id,
        reference=case.reference,
        administration=assignment.administration,
        on_behalf_of=assignment.on_behalf_of,
        received_at=case.received_at,
        forwarded_at=assignment.assigned_at,
        answer_by=case.deadlines.answer_by,
        kind=case.kind,
        nature=case.nature,
        language=submitted.language,
        place=submitted.place,
        personal=submitted.personal,
    )


def apply_reply(case: CaseChanged, reply: AdministrationReplied, now: datetime) -> CaseChanged | Refused:
    """The case after what the holder of an assignment said, or why that is refused."""
    current = {assignment.assignment_id: assignment for assignment in case.assignments}.get(reply.assignment_id)
    if current is None:
        return Refused("stale-assignment", "the assignment is no longer yours to answer")
    if reply.action is ReplyAction.NOT_OURS:
        return _returned(case, current, reply, now)
    allowed = REPLIES.get((current.status, reply.action))
    if allowed is None:
        return Refused("not-allowed", f"{reply.action} is not possible while {current.status}")
    if reply.action is ReplyAction.ANSWERED and not (reply.text or "").strip():
        return Refused("answer-missing", "an answer needs its text")
    status, change = allowed
    answer = reply.text if reply.action is ReplyAction.ANSWERED else current.answer
    after = current.model_copy(update={"status": status, "status_since": now, "answer": answer})
    assignments = tuple(after if a.assignment_id == after.assignment_id else a for a in case.assignments)
    return _next(case, change, assignments, now, nature=case.nature)


def _returned(
    case: CaseChanged, current: AssignmentState, reply: AdministrationReplied, now: datetime
) -> CaseChanged | Refused:
    if current.status not in RETURNABLE:
        return Refused("not-allowed", f"{reply.action} is not possible while {current.status}")
    if not (reply.text or "").strip():
        return Refused("reason-missing", "say why the complaint is not yours")
    after = _next(case, Change.RETURNED, (), now, nature=case.nature, in_triage=True)
    return after.model_copy(
        update={
            "hops": case.hops + 1,
            "refused": (*case.refused, current.administration),
            "return_reason": reply.text,
            "suggested_administration": reply.other_administration,
        }
    )


def triage_request(case: CaseChanged, submitted: ComplaintSubmitted) -> TriageRequested:
    """Asks for a new classification of a case that came back."""
    return TriageRequested(
        complaint_id=case.complaint_id,
        reference=case.reference,
        received_at=case.received_at,
        round=case.hops,
        refused=case.refused,
        reason=case.return_reason or "",
        suggested_administration=case.suggested_administration,
        kind=case.kind,
        language=submitted.language,
        place=submitted.place,
        personal=submitted.personal,
    )


def _next(
    case: CaseChanged,
    change: Change,
    assignments: tuple[AssignmentState, ...],
    now: datetime,
    *,
    nature: Nature | None,
    in_triage: bool = False,
    inadmissible_reason: str | None = None,
) -> CaseChanged:
    status = case_status(
        (a.status for a in assignments), in_triage=in_triage, inadmissible=inadmissible_reason is not None
    )
    return case.model_copy(
        update={
            "version": case.version + 1,
            "change": change,
            "status": status,
            "changed_at": now,
            "assignments": assignments,
            "nature": nature,
            "in_triage": in_triage,
            "triage_since": (case.triage_since if case.in_triage else now) if in_triage else None,
            "inadmissible_reason": inadmissible_reason,
        }
    )


def fire(case: CaseChanged, timer: Timer, onboarded: Mapping[str, str], floor: float, now: datetime) -> CaseChanged:
    """The case after a timer. `onboarded` maps each administration on board to itself and each other to its parent."""
    if timer.kind is TimerKind.TAKE_OVER:
        after = _taken_over(case, timer, onboarded, now)
    elif timer.kind is TimerKind.FORCED_FORWARD:
        after = _forced(case, timer, onboarded, floor, now)
    else:
        after = _next(case, _NOTICES[timer.kind], case.assignments, now, nature=case.nature, in_triage=case.in_triage)
    return after.model_copy(update={"timers_fired": (*case.timers_fired, timer.name)})


_NOTICES = {
    TimerKind.TRIAGE_OVERDUE: Change.TRIAGE_OVERDUE,
    TimerKind.FORWARD_MISSED: Change.FORWARD_DEADLINE_MISSED,
    TimerKind.ANSWER_REMINDER: Change.ANSWER_DEADLINE_APPROACHING,
    TimerKind.ANSWER_MISSED: Change.ANSWER_DEADLINE_MISSED,
}


def nearest_onboarded(code: str, onboarded: Mapping[str, str]) -> str:
    """The administration itself if on board, else its nearest ancestor that is, else the last resort."""
    seen: set[str] = set()
    while onboarded.get(code, code) != code and code not in seen:
        seen.add(code)
        code = onboarded[code]
    return code if onboarded.get(code) == code else MUNICIPAL_FALLBACK


def _taken_over(case: CaseChanged, timer: Timer, onboarded: Mapping[str, str], now: datetime) -> CaseChanged:
    (parked,) = case.assignments
    taker = nearest_onboarded(parked.administration, onboarded)
    return _assigned(case, timer, taker, parked.administration, now)


def _forced(case: CaseChanged, timer: Timer, onboarded: Mapping[str, str], floor: float, now: datetime) -> CaseChanged:
    """To the best suggestion above the floor that has not refused, or who stands in for it; else the last resort."""
    suggested = (
        c.administration for c in case.candidates if c.confidence >= floor and c.administration not in case.refused
    )
    code = next((code for code in suggested if code in onboarded), MUNICIPAL_FALLBACK)
    taker = nearest_onboarded(code, onboarded)
    return _assigned(case, timer, taker, None if taker == code else code, now)


def _assigned(case: CaseChanged, timer: Timer, taker: str, on_behalf_of: str | None, now: datetime) -> CaseChanged:
    assignment = AssignmentState(
        assignment_id=derived_id(case.complaint_id, f"assignment-{timer.name}"),
        administration=taker,
        on_behalf_of=on_behalf_of,
        status=AssignmentStatus.FORWARDED,
        assigned_at=now,
        status_since=now,
    )
    return _next(case, Change.FORWARDED, (assignment,), now, nature=case.nature)
