"""The legal clocks: deadlines, and the timers that make them a promise. Pure; the days are a policy file.

Days are counted from the receipt day, which is day 0, in the zone of the law. A timer fires once for a case, in a
version of its own; what fired is part of the case's state, so neither a restart nor a restore repeats it.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.contracts.events import CaseChanged, Deadlines
from shared.contracts.lifecycle import CaseStatus

_DEFAULT = Path(__file__).resolve().parents[1] / "policy.json"

_NOT_FORWARDED = (CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE, CaseStatus.PARKED)
_NOT_ANSWERED = (*_NOT_FORWARDED, CaseStatus.FORWARDED, CaseStatus.ACKNOWLEDGED, CaseStatus.IN_PROGRESS)
_LOOKS_FOR_OWNER = (CaseStatus.RECEIVED, CaseStatus.IN_TRIAGE)


class TimerKind(StrEnum):
    """What a timer does."""

    TAKE_OVER = "take_over"
    TRIAGE_OVERDUE = "triage_overdue"
    FORCED_FORWARD = "forced_forward"
    FORWARD_MISSED = "forward_missed"
    ANSWER_REMINDER = "answer_reminder"
    ANSWER_MISSED = "answer_missed"


class Timer(NamedTuple):
    """`name` is unique within a case."""

    due_at: datetime
    name: str
    kind: TimerKind


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
    suggestion_floor: float = Field(ge=0, le=1)

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
            forward_by=self._at(received_at, self.forward_days, time(23, 59, 59)),
            answer_by=self._at(received_at, self.answer_days, time(23, 59, 59)),
            policy=self.version,
        )

    def timers(self, case: CaseChanged) -> list[Timer]:
        """The timers still to fire in the present status of a case, the next one first."""
        return sorted(timer for timer in self._all(case) if timer.name not in case.timers_fired)

    def _all(self, case: CaseChanged) -> Iterator[Timer]:
        received, status, deadlines = case.received_at, case.status, case.deadlines
        if status is CaseStatus.PARKED:
            yield Timer(self._at(received, self.take_over_day), f"take_over-{case.hops}", TimerKind.TAKE_OVER)
        if status in _LOOKS_FOR_OWNER:
            overdue, forced = self._owner_search(case)
            yield Timer(overdue, f"triage_overdue-{case.hops}", TimerKind.TRIAGE_OVERDUE)
            yield Timer(forced, f"forced_forward-{case.hops}", TimerKind.FORCED_FORWARD)
        if status in _NOT_FORWARDED and case.hops == 0:
            yield Timer(deadlines.forward_by, "forward_missed", TimerKind.FORWARD_MISSED)
        if status in _NOT_ANSWERED:
            for days in self.answer_reminder_days:
                due = self._at(received, self.answer_days - days)
                yield Timer(due, f"answer_reminder-{days}", TimerKind.ANSWER_REMINDER)
            yield Timer(deadlines.answer_by, "answer_missed", TimerKind.ANSWER_MISSED)

    def _owner_search(self, case: CaseChanged) -> tuple[datetime, datetime]:
        """When supervisors hear of a case without owner, and when it is forwarded by force."""
        if case.hops == 0 or case.triage_since is None:
            received = case.received_at
            return self._at(received, self.triage_overdue_day), self._at(received, self.forced_forward_day)
        since = case.triage_since
        return (
            since + timedelta(days=self.returned_triage_overdue_days),
            since + timedelta(days=self.returned_forced_forward_days),
        )

    def _at(self, received_at: datetime, days: int, at: time = time.min) -> datetime:
        zone = ZoneInfo(self.zone)
        day = received_at.astimezone(zone).date() + timedelta(days=days)
        return datetime.combine(day, at, zone).astimezone(received_at.tzinfo)
