"""Messages in words: Jinja2 templates in a sandbox, dates and plurals by Babel.

A template has three blocks: `subject`, `sms` and `body`, the paragraphs of the e-mail with an empty line between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notifier.domain.notices import CITIZEN, Facts
from shared.contracts.administrations import registry
from shared.contracts.events import Language
from shared.contracts.wording import Spoken

SPOKEN: tuple[Spoken, ...] = ("ar", "fr", "en")

LANGUAGES: Mapping[Language, Spoken] = {
    Language.AR: "ar",
    Language.ARY: "ar",
    Language.ARY_LATN: "fr",
    Language.FR: "fr",
    Language.ZGH: "fr",
    Language.EN: "en",
}
"""The language a citizen is told in. There are no Amazigh texts yet: they need a translator's review first."""

_FOLDER = Path(__file__).parent / "templates"
_ZONE = ZoneInfo("Africa/Casablanca")
_LOCALES: Mapping[Spoken, str] = {"ar": "ar_MA", "fr": "fr_MA", "en": "en_GB"}
_FIRST_OF_MONTH: Mapping[Spoken, str] = {"ar": "'فاتح' MMMM y", "fr": "'1er' MMMM y", "en": "d MMMM y"}
_PORTAL_LANGUAGES: Mapping[Spoken, str] = {"ar": "ar", "fr": "fr", "en": "fr"}
_MARK = "\u200e"
_LONGEST_NAME = 60


class CannotRender(Exception):
    """A message cannot be put in words; the reason says what is missing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in the words of each channel."""

    language: Spoken
    subject: str
    sms: str
    text: str
    html: str


def spoken(language: str | None) -> Spoken:
    """The language of the texts for a citizen who wrote in `language`; French if unknown."""
    return LANGUAGES[Language(language)] if language is not None else "fr"


class Renderer:
    """Renders the messages of one portal."""

    def __init__(self, portal_url: str) -> None:
        self._portal_url = portal_url.rstrip("/")
        self._environment = _environment(autoescape=False)
        self._html = _environment(autoescape=True).get_template("layout.html")
        self._text = self._environment.get_template("layout.txt")

    def templates(self, language: Spoken) -> list[str]:
        """The names of all templates in a language."""
        return sorted(path.stem for path in (_FOLDER / language).glob("*.txt"))

    def render(
        self, template: str, language: Spoken, facts: Facts, reference: str, access_code: str, recipient: str = CITIZEN
    ) -> Rendered:
        """The message. Raises CannotRender when a template lacks a fact it needs."""
        context = self._context(language, facts, reference, access_code)
        try:
            blocks = self._environment.get_template(f"{language}/{template}.txt")
            made = {name: _block(blocks, name, context).strip() for name in ("subject", "sms", "body")}
            layout = {
                **context,
                "paragraphs": [" ".join(p.split("\n")) for p in made["body"].split("\n\n")],
                "is_citizen": recipient == CITIZEN,
                "subject": made["subject"],
            }
            text, html = self._text.render(layout), self._html.render(layout)
        except (TemplateError, TypeError) as error:
            raise CannotRender(f"{template} in {language}: {error}") from error
        return Rendered(language, made["subject"], " ".join(made["sms"].split("\n")), text, html)

    def _context(self, language: Spoken, facts: Facts, reference: str, access_code: str) -> dict[str, Any]:
        def day(moment: datetime) -> str:
            local = moment.astimezone(_ZONE)
            pattern = _FIRST_OF_MONTH[language] if local.day == 1 else "d MMMM y"
            return format_datetime(local, pattern, locale=_LOCALES[language])

        def days_until(moment: datetime, now: datetime) -> str:
            whole = moment.astimezone(_ZONE).date() - now.astimezone(_ZONE).date()
            span = timedelta(days=max(whole.days, 0))
            return format_timedelta(span, granularity="day", threshold=100_000, locale=_LOCALES[language])

        return {
            "language": language,
            "direction": "rtl" if language == "ar" else "ltr",
            "reference": f"{_MARK}{reference}{_MARK}" if language == "ar" else reference,
            "access_code": f"{_MARK}{access_code}{_MARK}" if language == "ar" else access_code,
            "administration": _named(facts.administration, language),
            "on_behalf_of": _named(facts.on_behalf_of, language),
            "change": facts.change,
            "changed_at": facts.changed_at,
            "forward_by": facts.forward_by,
            "answer_by": facts.answer_by,
            "follow_url": f"{self._portal_url}/{_PORTAL_LANGUAGES[language]}/follow",
            "site": self._portal_url.partition("://")[2],
            "day": day,
            "days_until": days_until,
        }


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = _short
    return environment


def _block(template: Any, name: str, context: Mapping[str, Any]) -> str:
    return "".join(template.blocks[name](template.new_context(context)))


def _named(code: str | None, language: Spoken) -> str | None:
    if code is None:
        return None
    body = registry().get(code)
    return (body.name(language) if body else code).replace("'", "’")


def _short(name: str) -> str:
    """A name as a short message can afford it: whole words, at most 60 characters."""
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 1].rsplit(' ', 1)[0].rstrip(',')}…"
