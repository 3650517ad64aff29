"""The rules of a case: how it opens, who gets it, and how one version follows another. Pure."""

from datetime import datetime
from typing import Any

from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.directory import Directory
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import (
    AssignmentForwarded,
    AssignmentNotice,
    AssignmentState,
    CaseChanged,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Notice,
    PersonalData,
    Place,
    TriageRequested,
)
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change, case_status

SOURCE = "/chikaya/dispatcher"


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
        against=submitted.named_administration if submitted.against_named_administration else None,
        deadlines=policy.deadlines(submitted.received_at),
    )


def next_version(
    case: CaseChanged,
    change: Change,
    now: datetime,
    *,
    assignments: tuple[AssignmentState, ...] | None = None,
    in_triage: bool | None = None,
    ended: CaseStatus | None = None,
    **fields: Any,
) -> CaseChanged:
    """The case after a change. What is not given stays; `fields` are further fields of CaseChanged."""
    after = case.assignments if assignments is None else assignments
    triaged = case.in_triage if in_triage is None else in_triage
    update: dict[str, Any] = {
        "version": case.version + 1,
        "change": change,
        "status": case_status((a.status for a in after), in_triage=triaged, ended=ended),
        "changed_at": now,
        "assignments": after,
        "in_triage": triaged,
        "triage_since": (case.triage_since if case.in_triage else now) if triaged else None,
        "action_id": None,
    }
    return case.model_copy(update=update | fields)


def may_assign(case: CaseChanged, classified: ComplaintClassified) -> bool:
    """Whether a classification matters: nobody has the case, and it was made after the last `not_ours`."""
    if case.status not in (CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE) or classified.round != case.hops:
        return False
    return not (case.in_triage and classified.decision is Decision.TRIAGE)


def assign(
    case: CaseChanged,
    classified: Event[ComplaintClassified],
    place: Place | None,
    directory: Directory,
    policy: Policy,
    now: datetime,
) -> CaseChanged:
    """The case after its classification: forwarded, parked until the body is on board, in triage, or ended."""
    data = classified.data
    case = case.model_copy(update={"candidates": data.candidates, "nature": data.nature})
    if data.decision is Decision.INADMISSIBLE:
        ended, reason = CaseStatus.INADMISSIBLE, data.message or ""
        return next_version(
            case, Change.FOUND_INADMISSIBLE, now, in_triage=False, ended=ended, inadmissible_reason=reason
        )
    if data.decision is not Decision.ROUTE or data.administration is None:
        return next_version(case, Change.SENT_TO_TRIAGE, now, in_triage=True)
    administration = directory.beside(directory.resolve(data.administration, place), case.against)
    status = AssignmentStatus.FORWARDED if administration in directory.on_board else AssignmentStatus.PARKED
    assignment = AssignmentState(
        assignment_id=derived_id(classified.id, "assignment"),
        administration=administration,
        status=status,
        assigned_at=now,
        status_since=now,
    )
    return hand_to(case, assignment, policy, now)


def hand_to(case: CaseChanged, assignment: AssignmentState, policy: Policy, now: datetime) -> CaseChanged:
    """The case with this one assignment, forwarded or parked, and the deadlines its holder gets."""
    change = Change.PARKED if assignment.status is AssignmentStatus.PARKED else Change.FORWARDED
    after = next_version(case, change, now, assignments=(assignment,), in_triage=False)
    return after.model_copy(update={"deadlines": policy.assigned(after)})


def work_resumed(case: CaseChanged, now: datetime) -> tuple[AssignmentState, ...]:
    """The assignments once nobody waits for the citizen any more."""
    update = {"status": AssignmentStatus.IN_PROGRESS, "status_since": now, "question": None}
    return tuple(
        a.model_copy(update=update) if a.status is AssignmentStatus.AWAITING_CITIZEN else a for a in case.assignments
    )


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
        answer_by=case.deadlines.current_answer_by,
        kind=case.kind,
        nature=case.nature,
        language=submitted.language,
        place=submitted.place,
        personal=submitted.personal,
    )


def noticed(
    case: CaseChanged, assignment: AssignmentState, notice: Notice, at: datetime, personal: PersonalData | None = None
) -> AssignmentNotice:
    """News about an assignment for the administration that has it."""
    return AssignmentNotice(
        assignment_id=assignment.assignment_id,
        complaint_id=case.complaint_id,
        reference=case.reference,
        administration=assignment.administration,
        notice=notice,
        at=at,
        answer_by=case.deadlines.current_answer_by,
        personal=personal,
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
