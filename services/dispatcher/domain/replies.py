"""What an administration may say about its assignment, and the case after it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from services.dispatcher.domain.case import next_version
from shared.contracts.events import AdministrationReplied, AssignmentState, CaseChanged
from shared.contracts.lifecycle import ENDED, REPLIES, RETURNABLE, TEXT_NEEDED, Change, ReplyAction

_SETTLING = (ReplyAction.ANSWERED, ReplyAction.CLOSURE_PROPOSED)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a message is refused: a code, and for administrations a sentence."""

    reason: str
    detail: str = ""


def apply_reply(case: CaseChanged, reply: AdministrationReplied, now: datetime) -> CaseChanged | Refused:
    """The case after what the holder of an assignment said, or why that is refused."""
    current = {assignment.assignment_id: assignment for assignment in case.assignments}.get(reply.assignment_id)
    if current is None or case.status in ENDED:
        return Refused("stale-assignment", "the assignment is no longer yours to answer")
    allowed = REPLIES.get((current.status, reply.action))
    returns = reply.action is ReplyAction.NOT_OURS and current.status in RETURNABLE
    if allowed is None and not returns:
        return Refused("not-allowed", f"{reply.action} is not possible while {current.status}")
    if reply.action in TEXT_NEEDED and not (reply.text or "").strip():
        return Refused("text-missing", f"{reply.action} needs a text")
    if allowed is None:
        return _returned(case, current, reply, now)
    status, change = allowed
    update = {"status": status, "status_since": now, **_said(reply)}
    after = current.model_copy(update=update)
    assignments = tuple(after if a.assignment_id == after.assignment_id else a for a in case.assignments)
    questions = case.questions + (reply.action is ReplyAction.QUESTION)
    return next_version(case, change, now, assignments=assignments, questions=questions)


def _said(reply: AdministrationReplied) -> dict[str, object]:
    question = reply.text if reply.action is ReplyAction.QUESTION else None
    if reply.action not in _SETTLING:
        return {"question": question}
    return {
        "question": None,
        "answer": reply.text,
        "outcome": reply.outcome,
        "attachments": reply.attachments,
        "closure_proposed": reply.action is ReplyAction.CLOSURE_PROPOSED,
    }


def _returned(case: CaseChanged, current: AssignmentState, reply: AdministrationReplied, now: datetime) -> CaseChanged:
    return next_version(
        case,
        Change.RETURNED,
        now,
        assignments=(),
        in_triage=True,
        hops=case.hops + 1,
        refused=(*case.refused, current.administration),
        return_reason=reply.text,
        suggested_administration=reply.other_administration,
    )
