"""The legal clocks: deadlines, and the timers that make them a promise. Pure; the days are a policy file.

Days are counted from the receipt day, which is day 0, in the zone of the law. A timer fires once for a case, in a
version of its own; what fired is part of the case's state, so neither a restart nor a restore repeats it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.contracts.events import CaseChanged, Deadlines, Nature
from shared.contracts.lifecycle import ENDED, NOT_FORWARDED, WORKED_ON, AssignmentStatus, CaseStatus

_DEFAULT = Path(__file__).resolve().parents[1] / "policy.json"

_LOOKS_FOR_OWNER = (CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE)


class TimerKind(StrEnum):
    """What a timer does."""

    TAKE_OVER = "take_over"
    TRIAGE_OVERDUE = "triage_overdue"
    FORCED_FORWARD = "forced_forward"
    FORWARD_MISSED = "forward_missed"
    ANSWER_REMINDER = "answer_reminder"
    ANSWER_MISSED = "answer_missed"
    ESCALATION = "escalation"
    QUESTION_EXPIRED = "question_expired"
    CLOSE = "close"


class Timer(NamedTuple):
    """`name` is unique within a case."""

    due_at: datetime
    name: str
    kind: TimerKind


class EarlierAnswer(BaseModel):
    """A shorter answer deadline than the law's for a nature, an administration, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nature: Nature | None = None
    administration: str | None = None
    answer_days: int = Field(gt=0)

    def applies(self, case: CaseChanged) -> bool:
        """Whether the case is of this nature and this administration's."""
        codes = {code for a in case.assignments for code in (a.administration, a.on_behalf_of)}
        return self.nature in (None, case.nature) and (self.administration is None or self.administration in codes)

    @property
    def name(self) -> str:
        """What `Deadlines.moved_by` says."""
        return "+".join(filter(None, (self.nature, self.administration)))


class Policy(BaseModel):
    """The days of the law and of the promise, as in `policy.json`; `version` is stored with each case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    zone: str
    forward_days: int = Field(gt=0)
    answer_days: int = Field(gt=0)
    take_over_day: int = Field(ge=0)
    triage_overdue_day: int = Field(ge=0)
    forced_forward_day: int = Field(ge=0)
    returned_triage_overdue_days: int = Field(ge=0)
    returned_forced_forward_days: int = Field(ge=0)
    answer_reminder_days: tuple[int, ...]
    escalation_days: tuple[int, ...]
    question_days: int = Field(gt=0)
    reopening_days: int = Field(gt=0)
    closure_proposed_days: int = Field(gt=0)
    reopened_answer_days: int = Field(gt=0)
    suggestion_floor: float = Field(ge=0, le=1)
    earlier_answers: tuple[EarlierAnswer, ...] = ()

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        ZoneInfo(name)
        return name

    @classmethod
    def load(cls, file: Path = _DEFAULT) -> "Policy":
        """Reads a policy file. Raises pydantic's ValidationError for a wrong one."""
        return cls.model_validate_json(file.read_bytes())

    def deadlines(self, received_at: datetime) -> Deadlines:
        """The last second of day 15 and of day 60, as instants."""
        return Deadlines(
            forward_by=self._end(received_at, self.forward_days),
            answer_by=self._end(received_at, self.answer_days),
            policy=self.version,
        )

    def assigned(self, case: CaseChanged) -> Deadlines:
        """The deadlines of a case that has just got its owner: the earliest answer that the policy asks for."""
        rules = [rule for rule in self.earlier_answers if rule.applies(case)]
        if not rules:
            return case.deadlines
        earliest = min(rules, key=lambda rule: rule.answer_days)
        answer_by = self._end(case.received_at, earliest.answer_days)
        if answer_by >= case.deadlines.answer_by:
            return case.deadlines
        return case.deadlines.model_copy(update={"answer_by": answer_by, "moved_by": earliest.name})

    def reopened(self, deadlines: Deadlines, reopened_at: datetime) -> Deadlines:
        """Adds the separate clock of a reopening; the day it is asked for is its day 0."""
        answer_by = self._end(reopened_at, self.reopened_answer_days)
        return deadlines.model_copy(update={"reopened_answer_by": answer_by})

    def timers(self, case: CaseChanged) -> list[Timer]:
        """The timers still to fire in the present status of a case, the next one first; none once it is over."""
        if case.status in ENDED:
            return []
        return sorted(timer for timer in self._all(case) if timer.name not in case.timers_fired)

    def _all(self, case: CaseChanged) -> Iterator[Timer]:
        if case.status is CaseStatus.PARKED:
            due = self._begin(case.received_at, self.take_over_day)
            yield Timer(due, f"take_over-{case.hops}", TimerKind.TAKE_OVER)
        if case.status in _LOOKS_FOR_OWNER:
            overdue, forced = self._owner_search(case)
            yield Timer(overdue, f"triage_overdue-{case.hops}", TimerKind.TRIAGE_OVERDUE)
            yield Timer(forced, f"forced_forward-{case.hops}", TimerKind.FORCED_FORWARD)
        if case.status in NOT_FORWARDED and case.hops == 0 and case.reopenings == 0:
            yield Timer(case.deadlines.forward_by, "forward_missed", TimerKind.FORWARD_MISSED)
        if case.status in (*NOT_FORWARDED, *WORKED_ON):
            yield from self._answer_clock(case)
        yield from self._citizens_turn(case)

    def _answer_clock(self, case: CaseChanged) -> Iterator[Timer]:
        due, number = case.deadlines.current_answer_by, case.reopenings
        for days in self.answer_reminder_days:
            yield Timer(self._begin(due, -days), f"answer_reminder-{number}-{days}", TimerKind.ANSWER_REMINDER)
        yield Timer(due, f"answer_missed-{number}", TimerKind.ANSWER_MISSED)
        for days in self.escalation_days:
            yield Timer(self._begin(due, days), f"escalation-{number}-{days}", TimerKind.ESCALATION)

    def _citizens_turn(self, case: CaseChanged) -> Iterator[Timer]:
        for assignment in case.assignments:
            if assignment.status is AssignmentStatus.AWAITING_CITIZEN:
                due = self._end(assignment.status_since, self.question_days)
                yield Timer(due, f"question_expired-{case.questions}", TimerKind.QUESTION_EXPIRED)
        if case.status is CaseStatus.ANSWERED:
            yield Timer(self.reopening_until(case), f"close-{case.reopenings}", TimerKind.CLOSE)

    def reopening_until(self, case: CaseChanged) -> datetime:
        """Until when an answered case may be reopened; then it closes."""
        answered_at = max(assignment.status_since for assignment in case.assignments)
        proposed = any(assignment.closure_proposed for assignment in case.assignments)
        return self._end(answered_at, self.closure_proposed_days if proposed else self.reopening_days)

    def _owner_search(self, case: CaseChanged) -> tuple[datetime, datetime]:
        """When supervisors hear of a case without owner, and when it is forwarded by force."""
        if case.hops == 0 or case.triage_since is None:
            received = case.received_at
            return self._begin(received, self.triage_overdue_day), self._begin(received, self.forced_forward_day)
        since = case.triage_since
        return (
            since + timedelta(days=self.returned_triage_overdue_days),
            since + timedelta(days=self.returned_forced_forward_days),
        )

    def _begin(self, moment: datetime, days: int) -> datetime:
        return self._at(moment, days, time.min)

    def _end(self, moment: datetime, days: int) -> datetime:
        return self._at(moment, days, time(23, 59, 59))

    def _at(self, moment: datetime, days: int, at: time) -> datetime:
        zone = ZoneInfo(self.zone)
        day = moment.astimezone(zone).date() + timedelta(days=days)
        return datetime.combine(day, at, zone).astimezone(UTC)
