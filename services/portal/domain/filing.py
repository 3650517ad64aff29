"""The file form: what was typed, what intake is sent, and where each of its refusals shows."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.portal.domain.languages import PageLanguage
from services.portal.domain.texts import Texts

_FORM_FIELDS = ("kind", "subject", "text", "administration", "name", "phone", "email", "preferred_contact")
_CONTACT_FIELDS = {"sms": "phone", "email": "email"}
_SCRIPTS: Mapping[PageLanguage, str] = {"ar": "ARABIC", "fr": "LATIN"}


@dataclass(frozen=True, slots=True)
class FilingForm:
    """The file form as typed. `key` makes sending it twice harmless."""

    key: str
    kind: str = "complaint"
    subject: str = ""
    text: str = ""
    administration: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    preferred_contact: str = "none"

    @classmethod
    def typed(cls, fields: Mapping[str, str], fresh_key: str) -> "FilingForm":
        """The form from its posted fields; a form without a usable key gets the fresh one."""
        key = fields.get("key", "")
        return cls(
            key=key if 0 < len(key) <= 64 and key.isascii() and key.isprintable() else fresh_key,
            kind=fields.get("kind", "complaint"),
            subject=fields.get("subject", ""),
            text=fields.get("text", ""),
            administration=fields.get("administration", ""),
            name=fields.get("name", ""),
            phone=fields.get("phone", ""),
            email=fields.get("email", ""),
            preferred_contact=fields.get("preferred_contact", "none"),
        )

    def filing(self, page: PageLanguage) -> dict[str, Any]:
        """The body intake expects. Without name, phone and e-mail the complaint is anonymous."""
        phone = "".join(str(int(c)) if c.isdecimal() else c for c in self.phone)
        typed = {"name": self.name.strip(), "phone": phone.strip(), "email": self.email.strip()}
        complainant = {name: value for name, value in typed.items() if value}
        filing: dict[str, Any] = {
            "kind": self.kind,
            "subject": self.subject,
            "text": self.text,
            "channel": "web",
            "preferred_contact": self.preferred_contact,
        }
        if _is_written_in(page, self.text):
            filing["language"] = page
        if complainant:
            filing["complainant"] = complainant
        if self.administration:
            filing["administration"] = self.administration
        return filing

    def missing_contact(self) -> str | None:
        """The field left blank although the citizen asked to be told that way."""
        wanted = _CONTACT_FIELDS.get(self.preferred_contact)
        return wanted if wanted and not self.value(wanted).strip() else None

    def value(self, name: str) -> str:
        """What was typed in the field of that name."""
        typed: str = getattr(self, name)
        return typed


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field at fault; nested fields are named with dots."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why intake did not accept a filing, in the language of the page."""

    status: int
    title: str
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class FormErrors:
    """Messages by the name of the form field, in the order of the page, and those of no field."""

    fields: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.general)


def form_errors(refusal: Refusal, form: FilingForm, texts: Texts) -> FormErrors:
    """What to do about each field refused, and what intake says of no field.

    Intake checks contact and preferred way together once every field is right, and reports the whole body;
    here a contact left blank is named at its own field, and along with the other errors.
    """
    contact = form.missing_contact()
    found: dict[str, str] = {} if contact is None else {contact: texts.blank[contact]}
    general: list[str] = []
    for error in refusal.errors:
        name = error.field.removeprefix("complainant.")
        if name in _FORM_FIELDS:
            found.setdefault(name, _instruction(name, form, texts))
        elif name != "body" or contact is None:
            general.append(error.message)
    if not refusal.errors:
        general.append(refusal.title)
    return FormErrors({name: found[name] for name in _FORM_FIELDS if name in found}, tuple(general))


def _instruction(name: str, form: FilingForm, texts: Texts) -> str:
    is_blank = not form.value(name).strip()
    return texts.blank[name] if is_blank and name in texts.blank else texts.corrections[name]


def _is_written_in(page: PageLanguage, text: str) -> bool:
    """Whether the script of the text bears out the language of the page; else the classifier is left to find it."""
    letters = [character for character in text if character.isalpha()]
    fitting = sum(unicodedata.name(letter, "").startswith(_SCRIPTS[page]) for letter in letters)
    return fitting * 2 >= len(letters)
