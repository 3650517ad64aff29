"""Who is told what: a table from the change of a case to a template. Pure."""

from uuid import UUID

from shared.contracts.envelope import Event
from shared.contracts.events import (
    CaseChanged,
    ComplaintSubmitted,
    PreferredContact,
    personal_content,
)
from shared.contracts.lifecycle import Change

SOURCE = "/chikaya/notifier"

TEMPLATES: dict[Change, str] = {
    Change.OPENED: "received",
    Change.FORWARDED: "forwarded",
    Change.ANSWERED: "answered",
}
"""The changes a citizen is told of; the others show in the tracker."""

Contact = tuple[UUID, str, str, str | None, str]
"""Complaint id, preferred way, language, address (None: do not tell), reference."""


def contact_of(submitted: ComplaintSubmitted) -> Contact:
    """How the citizen wants to be told."""
    given = personal_content(submitted.personal).complainant
    address = None
    if given is not None and submitted.preferred_contact is PreferredContact.SMS:
        address = given.phone
    elif given is not None and submitted.preferred_contact is PreferredContact.EMAIL:
        address = given.email
    language = submitted.language.value if submitted.language else "fr"
    return submitted.complaint_id, submitted.preferred_contact.value, language, address, submitted.reference


def template_of(event: Event[CaseChanged]) -> str | None:
    """The template for a change, or None when the citizen is not told of it."""
    return TEMPLATES.get(event.data.change)
