"""How an administration comes on board and leaves, as a table; and what that does to its cases. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.dispatcher.domain.case import next_version
from services.dispatcher.domain.directory import Directory
from shared.contracts.administrations import AdministrationState as State
from shared.contracts.envelope import derived_id
from shared.contracts.events import AssignmentState, CaseChanged
from shared.contracts.lifecycle import ENDED, RETURNABLE, AssignmentStatus, Change


class Step(StrEnum):
    """What operations ask for (`request`, `rotate`, `offboard`), the provisioner reports, or the dispatcher finds."""

    REQUEST = "request"
    ROTATE = "rotate"
    OFFBOARD = "offboard"
    PROVISIONED = "provisioned"
    PROBED = "probed"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


_UNDER_WAY = (State.REQUESTED, State.PROVISIONED, State.RELEASING)

STEPS: dict[tuple[State, Step], State] = {
    (State.LISTED, Step.REQUEST): State.REQUESTED,
    (State.OFFBOARDED, Step.REQUEST): State.REQUESTED,
    **{(state, Step.REQUEST): state for state in (*_UNDER_WAY, State.READY)},
    (State.RELEASING, Step.ROTATE): State.RELEASING,
    (State.READY, Step.ROTATE): State.READY,
    **{(state, Step.OFFBOARD): State.OFFBOARDING for state in (*_UNDER_WAY, State.READY, State.OFFBOARDING)},
    (State.OFFBOARDED, Step.OFFBOARD): State.OFFBOARDED,
    (State.REQUESTED, Step.PROVISIONED): State.PROVISIONED,
    **{(state, Step.PROVISIONED): state for state in (State.PROVISIONED, State.RELEASING, State.READY)},
    (State.PROVISIONED, Step.PROBED): State.RELEASING,
    **{(state, Step.PROBED): state for state in (State.RELEASING, State.READY)},
    (State.RELEASING, Step.RELEASED): State.READY,
    (State.OFFBOARDING, Step.WITHDRAWN): State.OFFBOARDED,
    (State.OFFBOARDED, Step.WITHDRAWN): State.OFFBOARDED,
}
"""(state, step) → state after it. A step said twice changes nothing; what is not here is refused."""

HANDED_OVER = RETURNABLE
"""The work an administration that leaves has not done: whoever takes over on behalf of it gets this."""


class Entry(NamedTuple):
    """An administration in the registry.

    `generation` counts its credentials: the provisioner makes new ones when it is above `generation_in_place`.
    `token_hash` is the SHA-256 of the bearer token it answers with over HTTP.
    """

    code: str
    kind: str
    parent: str
    name_fr: str
    name_ar: str
    announced: str
    state: State
    state_since: datetime
    generation: int
    generation_in_place: int
    token_hash: bytes | None

    @property
    def task(self) -> str | None:
        """What the provisioner has to do: `provision`, `withdraw` or nothing."""
        if self.state is State.OFFBOARDING:
            return "withdraw"
        if self.state in (State.REQUESTED, State.PROVISIONED):
            return "provision"
        rotating = self.state in (State.RELEASING, State.READY) and self.generation_in_place < self.generation
        return "provision" if rotating else None

    def after(self, step: Step, now: datetime) -> "Entry | None":
        """The entry after a step; itself when that changes nothing; None when the step is refused."""
        state = STEPS.get((self.state, step))
        if state is None:
            return None
        moved = self if state is self.state else self._replace(state=state, state_since=now)
        if state is State.OFFBOARDING:
            moved = moved._replace(token_hash=None)
        anew = step is Step.ROTATE or (step is Step.REQUEST and state is not self.state)
        return moved._replace(generation=self.generation + 1) if anew else moved


def parked_assignment(case: CaseChanged, assignment_id: UUID) -> AssignmentState | None:
    """The assignment, if it still waits for its administration."""
    return _current(case, assignment_id, (AssignmentStatus.PARKED,))


def unfinished_assignment(case: CaseChanged, assignment_id: UUID) -> AssignmentState | None:
    """The assignment, if its administration has work left to do on it."""
    return _current(case, assignment_id, HANDED_OVER)


def released(case: CaseChanged, parked: AssignmentState, now: datetime) -> CaseChanged:
    """The case after its parked assignment goes to the administration, which is on board now."""
    update = {"status": AssignmentStatus.FORWARDED, "assigned_at": now, "status_since": now}
    return _with(case, parked, parked.model_copy(update=update), now)


def handed_over(case: CaseChanged, left: AssignmentState, directory: Directory, now: datetime) -> CaseChanged:
    """The case after whoever is above an administration that leaves takes over on behalf of it."""
    taken = AssignmentState(
        assignment_id=derived_id(left.assignment_id, "hand-over"),
        administration=directory.nearest(left.administration, case.against),
        on_behalf_of=left.on_behalf_of or left.administration,
        status=AssignmentStatus.FORWARDED,
        assigned_at=now,
        status_since=now,
    )
    return _with(case, left, taken, now)


def _current(case: CaseChanged, assignment_id: UUID, statuses: tuple[AssignmentStatus, ...]) -> AssignmentState | None:
    if case.status in ENDED:
        return None
    found = (a for a in case.assignments if a.assignment_id == assignment_id and a.status in statuses)
    return next(found, None)


def _with(case: CaseChanged, before: AssignmentState, after: AssignmentState, now: datetime) -> CaseChanged:
    assignments = tuple(after if a.assignment_id == before.assignment_id else a for a in case.assignments)
    return next_version(case, Change.FORWARDED, now, assignments=assignments)
