"""Who is told what: a table from the change of a case to recipients, templates and channels. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.contracts.envelope import Contract, Event
from shared.contracts.events import (
    ActionRefused,
    CaseChanged,
    CitizenActed,
    ComplaintSubmitted,
    PreferredContact,
    personal_content,
)
from shared.contracts.lifecycle import Change

SOURCE = "/chikaya/notifier"

CITIZEN = "citizen"
OPERATIONS = "operations"
ADMINISTRATION = "administration"
"""Of one administration the recipient is `administration:<code>`."""


class Way(StrEnum):
    """A channel to a recipient."""

    SMS = "sms"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Notice:
    """One recipient is told with one template. A citizen is told on the way they prefer, then on the others."""

    recipient: str
    template: str
    ways: tuple[Way, ...]


def _citizen(template: str) -> Notice:
    return Notice(CITIZEN, template, (Way.SMS, Way.EMAIL))


_ESCALATION = Notice(OPERATIONS, "escalation", (Way.EMAIL,))
_REMINDER = Notice(ADMINISTRATION, "reminder", (Way.EMAIL,))

NOTICES: dict[Change, tuple[Notice, ...]] = {
    Change.OPENED: (_citizen("received"),),
    Change.SENT_TO_TRIAGE: (),
    Change.FOUND_INADMISSIBLE: (_citizen("inadmissible"),),
    Change.PARKED: (_citizen("parked"),),
    Change.FORWARDED: (_citizen("forwarded"),),
    Change.RETURNED: (_citizen("returned"),),
    Change.ACKNOWLEDGED: (),
    Change.WORK_STARTED: (),
    Change.CITIZEN_ASKED: (_citizen("asked"),),
    Change.CITIZEN_WROTE: (),
    Change.QUESTION_EXPIRED: (),
    Change.ANSWERED: (_citizen("answered"),),
    Change.CLOSURE_PROPOSED: (_citizen("closure_proposed"),),
    Change.RATED: (),
    Change.REOPENED: (_citizen("reopened"),),
    Change.CLOSED: (_citizen("closed"),),
    Change.WITHDRAWN: (_citizen("withdrawn"),),
    Change.CONTACT_CHANGED: (),
    Change.TRIAGE_OVERDUE: (_ESCALATION,),
    Change.FORWARD_DEADLINE_MISSED: (_citizen("forward_deadline_missed"), _ESCALATION),
    Change.ANSWER_DEADLINE_APPROACHING: (_REMINDER,),
    Change.ANSWER_DEADLINE_MISSED: (_citizen("answer_deadline_missed"), _REMINDER),
    Change.ESCALATED: (_ESCALATION, _REMINDER),
}
"""Every change; those with nobody to tell show in the tracker only."""

RELEASED = "released"
"""Takes the place of `forwarded` in the news about a case that was parked until then."""

REFUSED = _citizen("action_refused")
"""What the citizen asked for was not possible."""


class Facts(Contract):
    """What a message says of a case besides its reference. Nothing of what the citizen wrote."""

    change: str
    changed_at: datetime
    administration: str | None = None
    on_behalf_of: str | None = None
    forward_by: datetime | None = None
    answer_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One recipient to be told of one event."""

    event_id: UUID
    recipient: str
    complaint_id: UUID
    template: str
    ways: tuple[Way, ...]
    facts: Facts


def messages_of(event: Event[CaseChanged]) -> list[Message]:
    """Everybody to be told of a change."""
    case = event.data
    facts = Facts(
        change=case.change.value,
        changed_at=case.changed_at,
        administration=_holder(case),
        on_behalf_of=case.assignments[0].on_behalf_of if case.assignments else None,
        forward_by=case.deadlines.forward_by,
        answer_by=case.deadlines.current_answer_by,
    )
    found = []
    for notice in NOTICES[case.change]:
        recipient = notice.recipient
        if recipient == ADMINISTRATION:
            if not case.assignments:
                continue
            recipient = f"{ADMINISTRATION}:{facts.administration}"
        found.append(Message(event.id, recipient, event.subject, notice.template, notice.ways, facts))
    return found


def refusal_of(event: Event[ActionRefused]) -> Message:
    """The citizen is told that their action was not possible."""
    facts = Facts(change=event.data.action.value, changed_at=event.data.refused_at)
    return Message(event.id, CITIZEN, event.subject, REFUSED.template, REFUSED.ways, facts)


def _holder(case: CaseChanged) -> str | None:
    """Whose news it is: who leads the case, or who has just given it back."""
    if case.assignments:
        return case.assignments[0].administration
    return case.refused[-1] if case.refused else None


@dataclass(frozen=True, slots=True)
class Contact:
    """How the citizen of a complaint wants to be told, since when. Without `phone` and `email`: not at all."""

    complaint_id: UUID
    since: datetime
    preferred: PreferredContact
    phone: str | None
    email: str | None


def contact_given(submitted: ComplaintSubmitted) -> Contact:
    """The contact of a submission."""
    given = personal_content(submitted.personal).complainant
    wanted = submitted.preferred_contact
    if given is None or wanted is PreferredContact.NONE:
        return Contact(submitted.complaint_id, submitted.received_at, wanted, None, None)
    return Contact(submitted.complaint_id, submitted.received_at, wanted, given.phone, given.email)


def contact_changed(acted: CitizenActed) -> Contact:
    """The contact that replaces the one before."""
    given = personal_content(acted.personal).complainant
    wanted = acted.preferred_contact or PreferredContact.NONE
    if given is None or wanted is PreferredContact.NONE:
        return Contact(acted.complaint_id, acted.acted_at, wanted, None, None)
    return Contact(acted.complaint_id, acted.acted_at, wanted, given.phone, given.email)


@dataclass(frozen=True, slots=True)
class AddressBook:
    """The addresses that are no citizen's: of operations, and of administrations by code."""

    operations: str | None = None
    administrations: Mapping[str, str] = field(default_factory=dict)

    def known(self, recipient: str, given: Mapping[str, str]) -> Mapping[str, str]:
        """The recipient's addresses by way; `given` are those of the complaint's citizen."""
        if recipient == CITIZEN:
            return given
        email = self.operations
        if recipient != OPERATIONS:
            email = self.administrations.get(recipient.removeprefix(f"{ADMINISTRATION}:"))
        return {Way.EMAIL: email} if email else {}


def ways_in_order(ways: Sequence[str], preferred: str, known: Mapping[str, str]) -> list[str]:
    """The ways of a message that have an address, the preferred one first."""
    return sorted((way for way in ways if way in known), key=lambda way: way != preferred)
