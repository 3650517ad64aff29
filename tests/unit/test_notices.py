"""Who is told what, and in which words."""

import re
from datetime import timedelta

import pytest

from services.notifier.domain.notices import (
    CITIZEN,
    NOTICES,
    REFUSED,
    RELEASED,
    AddressBook,
    Facts,
    messages_of,
    ways_in_order,
)
from services.notifier.domain.sms import MOST_PARTS, PART_UNITS, parts_of
from services.notifier.rendering import SPOKEN, CannotRender, Rendered, Renderer, spoken
from shared.contracts.administrations import registry
from shared.contracts.events import Language
from shared.contracts.lifecycle import Change, CitizenAction
from shared.contracts.wording import Spoken
from shared.testing.builders import NOON, changed_event, submitted_event

REFERENCE = "26328-0417-5531-72"
CODE = "12345678"
RENDERER = Renderer("https://chikaya.ma")
LONGEST = {
    "ar": max(registry().values(), key=lambda body: len(body.name_ar)),
    "fr": max(registry().values(), key=lambda body: len(body.name_fr)),
    "en": max(registry().values(), key=lambda body: len(body.name_fr)),
}
ALL = [(notice.recipient, notice.template, change.value) for change in Change for notice in NOTICES[change]]
TO_CITIZENS = [(template, change) for recipient, template, change in ALL if recipient == CITIZEN]
TO_CITIZENS += [(RELEASED, "forwarded"), *((REFUSED.template, action.value) for action in CitizenAction)]


def facts(language: Spoken, change: str) -> Facts:
    """The case whose names and dates take the most room."""
    longest_date = NOON + timedelta(days=207)
    code = LONGEST[language].code
    return Facts(
        change=change,
        changed_at=longest_date,
        administration=code,
        on_behalf_of=code,
        forward_by=longest_date,
        answer_by=longest_date,
    )


def rendered(template: str, language: Spoken, change: str) -> Rendered:
    return RENDERER.render(template, language, facts(language, change), REFERENCE, CODE)


def test_every_change_is_in_the_table() -> None:
    assert set(NOTICES) == set(Change)


def test_every_template_is_used_and_there() -> None:
    used = {template for _, template, _ in ALL} | {RELEASED, REFUSED.template}
    citizens = {template for template, _ in TO_CITIZENS}
    assert set(RENDERER.templates("fr")) == used
    assert set(RENDERER.templates("ar")) == set(RENDERER.templates("en")) == citizens


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize(("template", "change"), TO_CITIZENS)
def test_words_for_citizens(template: str, change: str, language: Spoken) -> None:
    made = rendered(template, language, change)
    assert len(parts_of(made.sms)) <= MOST_PARTS, "the budget of a short message"
    for text in (made.subject, made.sms, made.text, made.html):
        assert REFERENCE in text
        assert not re.search(r"\{\{|%\}|None|Undefined|&lt;", text)
    assert (CODE in made.sms) == (template == "received")
    assert f'dir="{"rtl" if language == "ar" else "ltr"}"' in made.html
    assert "\n" not in made.subject


@pytest.mark.parametrize("action", CitizenAction)
def test_a_refusal_names_what_was_asked_for(action: CitizenAction) -> None:
    texts = {rendered("action_refused", "fr", each.value).text for each in CitizenAction}
    assert len(texts) == len(CitizenAction)


@pytest.mark.parametrize(("recipient", "template", "change"), [row for row in ALL if row[0] != CITIZEN])
def test_words_for_operations_and_administrations(recipient: str, template: str, change: str) -> None:
    made = RENDERER.render(template, "fr", facts("fr", change), REFERENCE, "", recipient)
    assert REFERENCE in made.subject
    assert REFERENCE in made.text
    assert "page de suivi" not in made.text, "that is for citizens"


def test_a_name_is_escaped_in_html_only() -> None:
    odd = facts("fr", "forwarded").model_copy(update={"administration": "a<b>&c"})
    made = RENDERER.render("forwarded", "fr", odd, REFERENCE, CODE)
    assert "a<b>&c" in made.text
    assert "a&lt;b&gt;&amp;c" in made.html


def test_a_missing_fact_is_an_error_with_its_template() -> None:
    incomplete = Facts(change="forwarded", changed_at=NOON)
    with pytest.raises(CannotRender, match="forwarded in ar"):
        RENDERER.render("forwarded", "ar", incomplete, REFERENCE, CODE)


@pytest.mark.parametrize(("days", "words"), [(0, "0\u00a0jour"), (1, "1\u00a0jour"), (5, "5\u00a0jours")])
def test_plurals(days: int, words: str) -> None:
    change = Change.ANSWER_DEADLINE_APPROACHING.value
    soon = facts("fr", change).model_copy(update={"changed_at": NOON, "answer_by": NOON + timedelta(days=days)})
    made = RENDERER.render("reminder", "fr", soon, REFERENCE, "", "administration:sante")
    assert f"Temps restant\u00a0: {words}." in made.text


def test_dates_as_written_in_morocco() -> None:
    first = facts("fr", "closed").model_copy(update={"changed_at": NOON.replace(month=5, day=1)})
    assert "1er mai 2026" in RENDERER.render("closed", "fr", first, REFERENCE, CODE).sms
    assert "فاتح ماي 2026" in RENDERER.render("closed", "ar", first, REFERENCE, CODE).sms


def test_the_language_of_a_citizen() -> None:
    assert [spoken(language) for language in ("ary", "ary-latn", "zgh", "en", None)] == ["ar", "fr", "fr", "en", "fr"]
    assert {spoken(language) for language in Language} == set(SPOKEN)


def test_the_recipients_of_a_change() -> None:
    late = messages_of(changed_event(submitted_event(), Change.ANSWER_DEADLINE_MISSED))
    assert [(m.recipient, m.template) for m in late] == [
        ("citizen", "answer_deadline_missed"),
        ("administration:sante", "reminder"),
    ]


def test_ways_in_the_order_of_the_citizen() -> None:
    both = {"sms": "+212600000000", "email": "a@b.ma"}
    assert ways_in_order(("sms", "email"), "email", both) == ["email", "sms"]
    assert ways_in_order(("sms", "email"), "sms", {"email": "a@b.ma"}) == ["email"]
    assert AddressBook("ops@x.ma", {"sante": "s@x.ma"}).known("administration:sante", both) == {"email": "s@x.ma"}
    assert AddressBook("ops@x.ma").known("administration:sante", both) == {}
    assert AddressBook().known("operations", both) == {}


def test_parts_never_cut_a_character() -> None:
    text = "x" * (PART_UNITS - 1) + "😀" + "ش" * 100
    parts = parts_of(text)
    assert "".join(part.decode("utf-16-be") for part in parts) == text
    assert all(len(part) <= 2 * PART_UNITS for part in parts)
    assert len(parts_of("ش" * 70)) == 1
