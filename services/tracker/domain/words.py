"""What citizens read and hear, in Arabic, French and English. Amazigh has no reviewed texts yet: Arabic is given.

The words of statuses and steps are those of `shared.contracts.wording`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shared.contracts.wording import WORDING, Spoken

NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Words:
    """Sentences of one language. `{…}` are filled in; days are counted by `days`."""

    statuses: Mapping[str, str]
    changes: Mapping[str, str]
    any_change: str
    months: tuple[str, ...]
    first_day: str
    written: str
    held: str
    held_for: str
    answer_due: str
    forward_due: str
    due_today: str
    overdue: str
    reference: str
    has_answer: str
    unknown: str
    days: tuple[str, str, str, str, str]
    """None, one, two, three to ten, more (for Arabic; repeated where a language does not tell them apart)."""

    def day(self, day: date) -> str:
        """A date in words: `12 mars 2026`."""
        number = self.first_day if day.day == 1 else str(day.day)
        return self.written.format(day=number, month=self.months[day.month - 1], year=day.year)

    def count(self, number: int) -> str:
        """A number of days in words: `12 jours`."""
        if number <= 2:
            return self.days[number]
        few = 3 <= number % 100 <= 10
        return self.days[3 if few else 4 if number % 100 > 10 else 0].format(number=number)


_ARABIC = Words(
    statuses=WORDING["ar"].statuses,
    changes=WORDING["ar"].steps,
    any_change="حُيّن الملف",
    months=(
        "يناير",
        "فبراير",
        "مارس",
        "أبريل",
        "ماي",
        "يونيو",
        "يوليوز",
        "غشت",
        "شتنبر",
        "أكتوبر",
        "نونبر",
        "دجنبر",
    ),
    first_day="فاتح",
    written="{day} {month} {year}",
    held="الشكاية لدى {holder} منذ {day}.",
    held_for="الشكاية لدى {holder} نيابة عن {other} منذ {day}.",
    answer_due="آخر أجل للجواب هو {day}، والمدة المتبقية: {days}.",
    forward_due="آخر أجل للإحالة على الإدارة هو {day}، والمدة المتبقية: {days}.",
    due_today="ينقضي الأجل اليوم.",
    overdue="انقضى الأجل في {day}، ومدة التأخر: {days}.",
    reference="الشكاية رقم {reference}.",
    has_answer="يمكنكم الاطلاع على الجواب في البوابة، أو طلب قراءته من أحد موظفي المركز.",
    unknown="رقم الشكاية أو الرمز السري غير صحيح.",
    days=("{number} يوم", "يوم واحد", "يومان", "{number} أيام", "{number} يوما"),
)
_FRENCH = Words(
    statuses=WORDING["fr"].statuses,
    changes=WORDING["fr"].steps,
    any_change="Dossier mis à jour",
    months=(
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ),
    first_day="1er",
    written="{day} {month} {year}",
    held=f"Dossier confié depuis le {{day}} à{NO_BREAK}: {{holder}}.",
    held_for=f"Dossier confié depuis le {{day}} à{NO_BREAK}: {{holder}}, pour le compte de{NO_BREAK}: {{other}}.",
    answer_due=f"Réponse attendue au plus tard le {{day}}{NO_BREAK}; temps restant{NO_BREAK}: {{days}}.",
    forward_due=f"Transmission prévue au plus tard le {{day}}{NO_BREAK}; temps restant{NO_BREAK}: {{days}}.",
    due_today="Le délai expire aujourd’hui.",
    overdue=f"Le délai a expiré le {{day}}{NO_BREAK}; retard{NO_BREAK}: {{days}}.",
    reference="Réclamation numéro {reference}.",
    has_answer="Vous pouvez lire la réponse sur le site, ou demander à un agent de vous la lire.",
    unknown="La référence ou le code d’accès est inexact.",
    days=("{number} jours", "1 jour", "2 jours", "{number} jours", "{number} jours"),
)
_ENGLISH = Words(
    statuses=WORDING["en"].statuses,
    changes=WORDING["en"].steps,
    any_change="File updated",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    first_day="1",
    written="{day} {month} {year}",
    held="With {holder} since {day}.",
    held_for="With {holder}, on behalf of {other}, since {day}.",
    answer_due="An answer is due by {day}; time left: {days}.",
    forward_due="It is to be handed over by {day}; time left: {days}.",
    due_today="The deadline ends today.",
    overdue="The deadline ended on {day}; overdue by {days}.",
    reference="Complaint number {reference}.",
    has_answer="You can read the answer on the website, or ask a member of staff to read it to you.",
    unknown="The reference or the access code is wrong.",
    days=("{number} days", "1 day", "2 days", "{number} days", "{number} days"),
)

WORDS: Mapping[Spoken, Words] = {"ar": _ARABIC, "fr": _FRENCH, "en": _ENGLISH}
