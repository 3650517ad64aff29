"""What a page says; `arabic` and `french` fill it in."""

from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE_EXAMPLE = "26123-4567-8901-23"
"""Of nobody: its check digits are wrong."""

PHONE_EXAMPLE = "0612345678"
EMAIL_EXAMPLE = "nom@example.com"


@dataclass(frozen=True, slots=True)
class Texts:
    """Everything a page says in one language."""

    direction: str
    other_language: str
    desk: str
    tagline: str
    skip: str
    languages: str
    home: str
    pages: str
    footer: str
    home_title: str
    home_lead: str
    file_title: str
    file_lead: str
    file_action: str
    follow_title: str
    follow_lead: str
    follow_action: str
    how_title: str
    how: tuple[str, ...]
    required: str
    optional: str
    error_prefix: str
    error_title: str
    unreachable: str
    unreachable_kept: str
    """The same when the form still holds what was typed."""
    already_sent: str
    blank: Mapping[str, str]
    """What to do about a field left blank, by its name."""
    corrections: Mapping[str, str]
    """What to do about a field filled in wrongly, by its name."""
    your_complaint: str
    kind: str
    kinds: Mapping[str, str]
    subject: str
    subject_hint: str
    text: str
    text_hint: str
    administration: str
    administration_hint: str
    administration_unknown: str
    administration_groups: Mapping[str, str]
    """The heading over a kind of administration."""
    you: str
    you_hint: str
    name: str
    phone: str
    phone_hint: str
    email: str
    email_hint: str
    contact: str
    contacts: Mapping[str, str]
    send: str
    filed_title: str
    filed_keep: str
    filed_secret: str
    filed_date: str
    reference: str
    reference_hint: str
    access_code: str
    access_code_hint: str
    follow_send: str
    not_found_title: str
    not_found: str
    status: str
    since: str
    received_at: str
    handled_by: str
    not_assigned: str
    on_behalf_of: str
    deadlines: str
    forward_by: str
    answer_by: str
    answer: str
    timeline: str
    follow_another: str
    statuses: Mapping[str, str]
    changes: Mapping[str, str]
    problems: Mapping[int, tuple[str, str]]
    """Title and advice by HTTP status; 400 and 500 stand for the others of their hundred."""
