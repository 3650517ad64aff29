"""What a citizen may do with a filed complaint, and the case after it. Pure."""

from datetime import datetime
from uuid import UUID

from services.dispatcher.domain.case import next_version, work_resumed
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.directory import Directory
from services.dispatcher.domain.replies import Refused
from shared.contracts.envelope import derived_id
from shared.contracts.events import AssignmentState, CaseChanged, CitizenActed, Notice, PastAnswer
from shared.contracts.lifecycle import CITIZEN_ACTIONS, AssignmentStatus, CaseStatus, Change, CitizenAction

NOTICES = {
    CitizenAction.MESSAGE: Notice.CITIZEN_MESSAGE,
    CitizenAction.REOPENING: Notice.REOPENED,
    CitizenAction.WITHDRAWAL: Notice.WITHDRAWN,
}
"""Of these actions the administration that has the case is told."""


def apply_action(
    case: CaseChanged, action_id: UUID, acted: CitizenActed, directory: Directory, policy: Policy, now: datetime
) -> CaseChanged | Refused:
    """The case after what the citizen did, or why that is refused."""
    if case.status not in CITIZEN_ACTIONS[acted.action]:
        return Refused(f"not-while-{case.status.replace('_', '-')}")
    if acted.action is CitizenAction.MESSAGE:
        return _written(case, action_id, now)
    if acted.action is CitizenAction.RATING:
        return _rated(case, action_id, acted, now)
    if acted.action is CitizenAction.REOPENING:
        return _reopened(case, action_id, acted, directory, policy, now)
    if acted.action is CitizenAction.WITHDRAWAL:
        ended = CaseStatus.WITHDRAWN
        return next_version(case, Change.WITHDRAWN, now, in_triage=False, ended=ended, action_id=action_id)
    return next_version(case, Change.CONTACT_CHANGED, now, action_id=action_id)


def _written(case: CaseChanged, action_id: UUID, now: datetime) -> CaseChanged:
    """A message; where the citizen was asked, the work goes on."""
    return next_version(case, Change.CITIZEN_WROTE, now, assignments=work_resumed(case, now), action_id=action_id)


def _rated(case: CaseChanged, action_id: UUID, acted: CitizenActed, now: datetime) -> CaseChanged | Refused:
    """Satisfied closes the case; not satisfied leaves the time to reopen it."""
    if case.satisfied is not None:
        return Refused("rated-before")
    if acted.satisfied:
        return next_version(case, Change.CLOSED, now, ended=CaseStatus.CLOSED, satisfied=True, action_id=action_id)
    return next_version(case, Change.RATED, now, satisfied=False, action_id=action_id)


def _reopened(
    case: CaseChanged, action_id: UUID, acted: CitizenActed, directory: Directory, policy: Policy, now: datetime
) -> CaseChanged | Refused:
    """Back to who answered, with a clock of its own; whoever has left in the meantime is stood in for."""
    if acted.acted_at > policy.reopening_until(case):
        return Refused("too-late")
    (answered,) = case.assignments
    holder = directory.nearest(answered.administration, case.against)
    stands_in = answered.administration if holder != answered.administration else None
    again = AssignmentState(
        assignment_id=derived_id(action_id, "assignment"),
        administration=holder,
        on_behalf_of=answered.on_behalf_of or stands_in,
        status=AssignmentStatus.FORWARDED,
        assigned_at=now,
        status_since=now,
    )
    past = PastAnswer(
        administration=answered.administration,
        answered_at=answered.status_since,
        answer=answered.answer,
        outcome=answered.outcome,
    )
    return next_version(
        case,
        Change.REOPENED,
        now,
        assignments=(again,),
        reopenings=case.reopenings + 1,
        satisfied=None,
        past_answers=(*case.past_answers, past),
        deadlines=policy.reopened(case.deadlines, acted.acted_at),
        action_id=action_id,
    )
