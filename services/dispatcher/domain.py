"""The rules of a case: its deadlines, who gets it, and what an administration may say about it. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.contracts.administrations import MUNICIPAL, MUNICIPAL_FALLBACK
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import (
    AdministrationReplied,
    AssignmentForwarded,
    AssignmentState,
    CaseChanged,
    ComplaintClassified,
    ComplaintSubmitted,
    Deadlines,
    Decision,
    Nature,
    Place,
    TriageRequested,
)
from shared.contracts.lifecycle import REPLIES, RETURNABLE, AssignmentStatus, Change, ReplyAction, case_status

SOURCE = "/chikaya/dispatcher"

_COMMUNE = "commune-"


@dataclass(frozen=True, slots=True)
class Policy:
    """The legal clocks as data: calendar days after the receipt day, in the zone of the law."""

    version: str = "2026-1"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Africa/Casablanca"))
    forward_days: int = 15
    answer_days: int = 60

    def deadlines(self, received_at: datetime) -> Deadlines:
        """The last second of receipt day + n, as an instant."""
        return Deadlines(
            forward_by=self._end_of_day(received_at, self.forward_days),
            answer_by=self._end_of_day(received_at, self.answer_days),
            policy=self.version,
        )

    def _end_of_day(self, received_at: datetime, days: int) -> datetime:
        day = received_at.astimezone(self.zone).date() + timedelta(days=days)
        return datetime.combine(day, time(23, 59, 59), self.zone).astimezone(received_at.tzinfo)


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
    return after.model_copy(update={"hops": case.hops + 1, "refused": (*case.refused, current.administration)})


def triage_request(case: CaseChanged, submitted: ComplaintSubmitted, reply: AdministrationReplied) -> TriageRequested:
    """Asks for a new classification of a case that came back."""
    return TriageRequested(
        complaint_id=case.complaint_id,
        reference=case.reference,
        received_at=case.received_at,
        round=case.hops,
        refused=case.refused,
        reason=reply.text or "",
        suggested_administration=reply.other_administration,
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
            "inadmissible_reason": inadmissible_reason,
        }
    )
