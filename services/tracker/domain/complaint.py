"""One complaint in the read model, and how events change it. Pure.

Events may come in any order across topics, and again: whatever is folded in is either kept by case version or the
earliest of its kind, so that every interleaving ends in the same row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.contracts.administrations import registry
from shared.contracts.envelope import Event
from shared.contracts.events import CaseChanged, ComplaintSubmitted, NotificationRecorded
from shared.contracts.lifecycle import ENDED, WORKED_ON, CaseStatus, Change

ZONE = ZoneInfo("Africa/Casablanca")
"""The zone of the law: days are counted in it."""

HANDED_OVER = frozenset({*WORKED_ON, CaseStatus.ANSWERED})


@dataclass(slots=True)
class Complaint:
    """A row of `complaints`, field by field. `access_code_key` is None until its submission was read."""

    complaint_id: UUID
    reference: str | None = None
    received_at: datetime | None = None
    kind: str | None = None
    channel: str | None = None
    language: str | None = None
    region: str | None = None
    province: str | None = None
    commune: str | None = None
    access_code_key: str | None = None
    access_code_issue: int | None = None
    version: int = 0
    status: str | None = None
    since: datetime | None = None
    administration: str | None = None
    on_behalf_of: str | None = None
    held_since: datetime | None = None
    forward_by: datetime | None = None
    answer_by: datetime | None = None
    nature: str | None = None
    hops: int = 0
    answer: str | None = None
    forwarded_at: datetime | None = None
    answered_at: datetime | None = None
    reopened_at: datetime | None = None
    reopened_answer_by: datetime | None = None
    question: str | None = None

    def submitted(self, data: ComplaintSubmitted) -> None:
        """Folds in what intake said."""
        self.reference = data.reference
        self.received_at = data.received_at
        self.channel = data.channel.value
        self.language = None if data.language is None else data.language.value
        self.access_code_key = data.access_code_key
        self.access_code_issue = data.access_code_issue
        if data.place is not None:
            self.region, self.province, self.commune = data.place.region, data.place.province, data.place.commune
        if self.version == 0:
            self.kind = data.kind.value

    def changed(self, data: CaseChanged) -> None:
        """Folds in a version of the case."""
        if data.status in HANDED_OVER:
            self.forwarded_at = _earliest(self.forwarded_at, data.changed_at)
        if data.status is CaseStatus.ANSWERED:
            self.answered_at = _earliest(self.answered_at, data.changed_at)
        if data.change is Change.REOPENED:
            self.reopened_at = _earliest(self.reopened_at, data.changed_at)
        if data.version <= self.version:
            return
        self.version = data.version
        self.status = data.status.value
        self.since = _status_since(data)
        self.administration, self.on_behalf_of = holder(data)
        self.held_since = data.assignments[0].assigned_at if data.assignments else None
        self.forward_by, self.answer_by = data.deadlines.forward_by, data.deadlines.answer_by
        self.kind = data.kind.value
        self.nature = None if data.nature is None else data.nature.value
        self.hops = data.hops
        self.answer = answer_of(data)
        self.reopened_answer_by = data.deadlines.reopened_answer_by
        self.question = next((a.question for a in data.assignments if a.question), None)
        self.received_at = self.received_at or data.received_at


class Entry(NamedTuple):
    """A row of `timeline`. What is no version of the case has neither `version` nor `status`.

    `details` is the answer, or the reason, that came with the change.
    """

    complaint_id: UUID
    event_id: UUID
    happened_at: datetime
    version: int | None
    change: str
    status: str | None = None
    administration: str | None = None
    on_behalf_of: str | None = None
    forward_by: datetime | None = None
    answer_by: datetime | None = None
    hops: int | None = None
    details: str | None = None


def entry_of_change(event: Event[CaseChanged]) -> Entry:
    """The timeline entry of a version of a case."""
    case = event.data
    administration, on_behalf_of = holder(case)
    if case.status is CaseStatus.ANSWERED or case.inadmissible_reason is not None:
        details = answer_of(case)
    else:
        details = _DETAILS[case.change](case) if case.change in _DETAILS else None
    return Entry(
        event.subject,
        event.id,
        case.changed_at,
        case.version,
        case.change.value,
        case.status.value,
        administration,
        on_behalf_of,
        case.deadlines.forward_by,
        case.deadlines.answer_by,
        case.hops,
        details,
    )


_DETAILS: dict[Change, Callable[[CaseChanged], str | None]] = {
    Change.RETURNED: lambda case: case.return_reason,
    Change.CITIZEN_ASKED: lambda case: next((a.question for a in case.assignments if a.question), None),
}
"""What a citizen reads with a change, beside the answer."""


def entry_of_notification(event: Event[NotificationRecorded]) -> Entry:
    """The timeline entry of a message to the citizen."""
    return Entry(event.subject, event.id, event.data.at, None, f"notification_{event.data.state.value}")


def holder(case: CaseChanged) -> tuple[str | None, str | None]:
    """(administration, on behalf of whom) of the assignment that leads."""
    if not case.assignments:
        return None, None
    return case.assignments[0].administration, case.assignments[0].on_behalf_of


def answer_of(case: CaseChanged) -> str | None:
    """The answer, once every assignment has one; or why there will be none."""
    if case.inadmissible_reason is not None:
        return case.inadmissible_reason
    answers = [assignment.answer for assignment in case.assignments]
    return "\n\n".join(a for a in answers if a) if answers and all(answers) else None


def named(code: str | None) -> dict[str, Any] | None:
    """A code with its names."""
    if code is None:
        return None
    body = registry().get(code)
    return {"code": code, "name_fr": body.name_fr if body else code, "name_ar": body.name_ar if body else code}


def local_day(moment: datetime) -> date:
    """The day it was, or will be, in Morocco."""
    return moment.astimezone(ZONE).date()


def _status_since(case: CaseChanged) -> datetime:
    if case.status in ENDED:
        return case.changed_at
    if case.assignments:
        return max(a.status_since for a in case.assignments if a.status.value == case.status.value)
    return case.triage_since or case.received_at if case.in_triage else case.received_at


def _earliest(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None else min(known, moment)
