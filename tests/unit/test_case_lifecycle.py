"""Any life of a case keeps the promises: one step at a time, forwarded in time, never to who is complained of."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.dispatcher.domain.case import assign, may_assign, open_case
from services.dispatcher.domain.citizen import apply_action
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.directory import Directory
from services.dispatcher.domain.onboarding import handed_over, parked_assignment, released, unfinished_assignment
from services.dispatcher.domain.replies import Refused, apply_reply
from services.dispatcher.domain.timers import fire
from shared.contracts.administrations import RESORTS, Onboarding, registry
from shared.contracts.envelope import Event
from shared.contracts.events import (
    AdministrationReplied,
    Candidate,
    CaseChanged,
    Channel,
    CitizenActed,
    ClearPersonalData,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Kind,
    Nature,
    PersonalContent,
    Place,
)
from shared.contracts.lifecycle import (
    CITIZEN_ACTIONS,
    ENDED,
    REPLIES,
    RETURNABLE,
    TEXT_NEEDED,
    AssignmentStatus,
    CaseStatus,
    Change,
    CitizenAction,
    ReplyAction,
    case_status,
)
from shared.testing.builders import submitted_event

POLICY = Policy.load()
CODES = sorted(registry())
ROUTES = ["commune", *CODES]
CASABLANCA = ZoneInfo("Africa/Casablanca")
SOME_TEXT = ClearPersonalData(content=PersonalContent(subject="", text="…"))

codes = st.sampled_from(CODES)
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone
moments = st.datetimes(FIRST, FIRST.replace(year=2028), timezones=st.just(UTC))


class CaseLife(RuleBasedStateMachine):
    """One case, whatever administrations, officers, citizens and the clock do to it."""

    @initialize(received_at=moments, against=st.none() | codes, on_board=st.frozensets(codes), place=st.none() | codes)
    def file(self, received_at: datetime, against: str | None, on_board: frozenset[str], place: str | None) -> None:
        ready = {code for code, body in registry().items() if body.onboarding is Onboarding.READY}
        parents = {code: body.parent for code, body in registry().items()}
        # The resorts are always on board: the dispatcher refuses to let them leave.
        self.directory = Directory(parents, frozenset(ready | on_board))
        self.place = Place(commune=place.removeprefix("commune-")) if place else None
        event = submitted_event()
        update = {"named_administration": against, "against_named_administration": against is not None}
        data: ComplaintSubmitted = event.data.model_copy(update=update | {"received_at": received_at})
        self.now = received_at
        self.case = open_case(data, POLICY)
        self.history = [self.case]
        self.tokens: list[UUID] = []

    def step(self, after: CaseChanged) -> None:
        assert self.case.status not in ENDED, "nothing happens to a case that is over"
        assert after.version == self.case.version + 1
        self.case = after
        self.history.append(after)
        self.tokens += [a.assignment_id for a in after.assignments if a.assignment_id not in self.tokens]

    @rule(
        decision=st.sampled_from(Decision),
        code=st.sampled_from(ROUTES),
        nature=st.sampled_from(Nature),
        others=st.lists(codes, max_size=3),
        late=st.integers(0, 2),
    )
    def classify(self, decision: Decision, code: str, nature: Nature, others: list[str], late: int) -> None:
        data = ComplaintClassified(
            complaint_id=self.case.complaint_id,
            decision=decision,
            administration=code,
            candidates=tuple(Candidate(administration=other, confidence=0.3) for other in others),
            nature=nature,
            kind=Kind.COMPLAINT,
            model_version="test",
            round=max(0, self.case.hops - late),
        )
        if may_assign(self.case, data):
            event = Event(uuid4(), "/test", self.case.complaint_id, self.now, uuid4(), data)
            self.step(assign(self.case, event, self.place, self.directory, POLICY, self.now))

    @precondition(lambda self: self.tokens)
    @rule(action=st.sampled_from(ReplyAction), text=st.sampled_from(["Voici.", "", None]), token=st.integers(0, 5))
    def reply(self, action: ReplyAction, text: str | None, token: int) -> None:
        assignment_id = self.tokens[-1 - token % len(self.tokens)]
        data = AdministrationReplied(assignment_id=assignment_id, action=action, text=text)
        result = apply_reply(self.case, data, self.now)
        current = next((a for a in self.case.assignments if a.assignment_id == assignment_id), None)
        possible = current is not None and self.case.status not in ENDED
        if possible and current is not None:
            returns = action is ReplyAction.NOT_OURS and current.status in RETURNABLE
            possible = ((current.status, action) in REPLIES or returns) and (action not in TEXT_NEEDED or bool(text))
        assert isinstance(result, CaseChanged) == possible
        if isinstance(result, CaseChanged):
            self.step(result)

    @rule(action=st.sampled_from(CitizenAction), satisfied=st.booleans())
    def act(self, action: CitizenAction, satisfied: bool) -> None:
        data = CitizenActed(
            complaint_id=self.case.complaint_id,
            action=action,
            acted_at=self.now,
            channel=Channel.WEB,
            satisfied=satisfied,
            personal=SOME_TEXT,
        )
        result = apply_action(self.case, uuid4(), data, self.directory, POLICY, self.now)
        if self.case.status not in CITIZEN_ACTIONS[action]:
            assert isinstance(result, Refused)
        if isinstance(result, CaseChanged):
            self.step(result)

    @rule(hours=st.integers(1, 24 * 20))
    def wait(self, hours: int) -> None:
        """Time goes on; what falls due on the way happens then, as the dispatcher looks every second."""
        until = self.now + timedelta(hours=hours)
        while (due := POLICY.timers(self.case)) and due[0].due_at <= until:
            self.now = max(self.now, due[0].due_at)
            self.step(fire(self.case, due[0], self.directory, POLICY, self.now))
        self.now = until

    @rule(code=codes)
    def come_on_board(self, code: str) -> None:
        self.directory = Directory(self.directory.parents, self.directory.on_board | {code})
        self._move(code, parked_assignment, lambda a: released(self.case, a, self.now))

    @rule(code=codes)
    def leave(self, code: str) -> None:
        if code in RESORTS:
            return
        self.directory = Directory(self.directory.parents, self.directory.on_board - {code})
        self._move(code, unfinished_assignment, lambda a: handed_over(self.case, a, self.directory, self.now))

    def _move(self, code: str, find: Callable[..., object], moved: Callable[..., CaseChanged]) -> None:
        for assignment in self.case.assignments:
            if assignment.administration == code and find(self.case, assignment.assignment_id) is not None:
                self.step(moved(assignment))

    @invariant()
    def the_status_follows_from_the_assignments(self) -> None:
        case = self.case
        ended = case.status if case.status in ENDED else None
        assert case.status == case_status((a.status for a in case.assignments), in_triage=case.in_triage, ended=ended)
        assert len(case.assignments) <= 1
        assert not (case.in_triage and case.assignments)
        assert case.deadlines.forward_by == self.history[0].deadlines.forward_by
        assert case.deadlines.answer_by <= self.history[0].deadlines.answer_by

    @invariant()
    def who_is_complained_of_does_not_get_it(self) -> None:
        forwarded = (a for a in self.case.assignments if a.status is not AssignmentStatus.PARKED)
        assert self.case.against not in [a.administration for a in forwarded] or self.case.against is None

    @invariant()
    def it_is_forwarded_before_day_15(self) -> None:
        day = self.case.received_at.astimezone(CASABLANCA).date()
        if (self.now.astimezone(CASABLANCA).date() - day).days >= 15:
            reached = {state.status for state in self.history}
            assert reached - {CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE, CaseStatus.PARKED}

    @invariant()
    def every_timer_fires_once_and_no_case_is_stuck(self) -> None:
        assert len(set(self.case.timers_fired)) == len(self.case.timers_fired)
        if self.case.status in ENDED:
            assert not POLICY.timers(self.case)
        elif self.case.assignments and self.case.status is not CaseStatus.ANSWERED:
            missed = f"answer_missed-{self.case.reopenings}"
            late = self.now > self.case.deadlines.current_answer_by
            assert (missed in self.case.timers_fired) or not late

    @invariant()
    def each_answer_is_reopened_at_most_once(self) -> None:
        changes = [state.change for state in self.history]
        answers = changes.count(Change.ANSWERED) + changes.count(Change.CLOSURE_PROPOSED)
        assert self.case.reopenings == changes.count(Change.REOPENED) == len(self.case.past_answers) <= answers


TestCaseLife = CaseLife.TestCase
TestCaseLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
