"""What citizens read and hear, in Arabic, French and English. Amazigh has no reviewed texts yet: Arabic is given.

Names of statuses and changes are tables over the words of `shared.contracts.lifecycle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Spoken = Literal["ar", "fr", "en"]

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
    statuses={
        "received": "توصلنا بشكايتكم",
        "in_triage": "يعمل أحد موظفينا على تحديد الإدارة المعنية",
        "inadmissible": "لا يمكن قبول الشكاية",
        "parked": "حُددت الإدارة المعنية، والإحالة عليها قيد الانتظار",
        "forwarded": "أُحيلت الشكاية على الإدارة",
        "acknowledged": "أكدت الإدارة توصلها بالشكاية",
        "in_progress": "الإدارة بصدد معالجة الشكاية",
        "awaiting_citizen": "طرحت عليكم الإدارة سؤالا، وهي في انتظار جوابكم",
        "closed": "أُغلق الملف",
        "withdrawn": "سحبتم شكايتكم",
        "answered": "أجابت الإدارة",
    },
    changes={
        "opened": "فُتح الملف",
        "sent_to_triage": "عُرضت الشكاية على أحد موظفينا لتحديد الإدارة المعنية",
        "found_inadmissible": "تعذر قبول الشكاية",
        "parked": "وُضعت الشكاية في انتظار الإحالة",
        "forwarded": "أُحيلت الشكاية على الإدارة",
        "returned": "أعادت الإدارة الشكاية لأنها لا تدخل في اختصاصها",
        "acknowledged": "أكدت الإدارة توصلها بالشكاية",
        "work_started": "شرعت الإدارة في معالجة الشكاية",
        "answered": "أجابت الإدارة",
        "triage_overdue": "أُحيط المشرفون علما بالتأخر في تحديد الإدارة المعنية",
        "forward_deadline_missed": "انقضى أجل الإحالة على الإدارة",
        "answer_deadline_approaching": "تذكير الإدارة بقرب انقضاء أجل الجواب",
        "answer_deadline_missed": "انقضى أجل الجواب دون رد من الإدارة",
        "citizen_asked": "طرحت عليكم الإدارة سؤالا",
        "citizen_wrote": "توصلنا برسالتكم",
        "question_expired": "انقضى أجل الجواب عن سؤال الإدارة، وتواصلت المعالجة",
        "closure_proposed": "اقترحت الإدارة إغلاق الملف",
        "rated": "توصلنا برأيكم في الجواب",
        "reopened": "أُعيد فتح الملف بطلب منكم",
        "closed": "أُغلق الملف",
        "withdrawn": "سحبتم شكايتكم",
        "contact_changed": "حُيّنت وسيلة التواصل معكم",
        "escalated": "رُفع التأخر في الجواب إلى مستوى أعلى",
        "action_refused": "تعذرت الاستجابة لطلبكم في هذه المرحلة",
        "notification_sent": "أُرسلت إليكم رسالة",
        "notification_delivered": "وصلتكم الرسالة",
        "notification_failed": "تعذر إيصال رسالة إليكم",
    },
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
    statuses={
        "received": "Nous avons reçu votre réclamation",
        "in_triage": "Un agent recherche l’administration concernée",
        "inadmissible": "Réclamation non recevable",
        "parked": "Administration trouvée, transmission en attente",
        "forwarded": "Transmise à l’administration",
        "acknowledged": "L’administration en a accusé réception",
        "in_progress": "L’administration traite votre réclamation",
        "awaiting_citizen": "L’administration vous a posé une question et attend votre réponse",
        "closed": "Dossier clos",
        "withdrawn": "Vous avez retiré votre réclamation",
        "answered": "L’administration a répondu",
    },
    changes={
        "opened": "Dossier ouvert",
        "sent_to_triage": "Réclamation confiée à un agent pour orientation",
        "found_inadmissible": "Réclamation déclarée non recevable",
        "parked": "Réclamation mise en attente de transmission",
        "forwarded": "Réclamation transmise à l’administration",
        "returned": f"Réclamation renvoyée{NO_BREAK}: elle ne relève pas de cette administration",
        "acknowledged": "Accusé de réception de l’administration",
        "work_started": "Traitement commencé par l’administration",
        "answered": "Réponse de l’administration",
        "triage_overdue": "Retard d’orientation signalé aux superviseurs",
        "forward_deadline_missed": "Délai de transmission dépassé",
        "answer_deadline_approaching": f"Rappel à l’administration{NO_BREAK}: le délai de réponse approche",
        "answer_deadline_missed": "Délai de réponse dépassé sans réponse de l’administration",
        "citizen_asked": "Question de l’administration",
        "citizen_wrote": "Votre message a été reçu",
        "question_expired": f"Question restée sans réponse{NO_BREAK}: le traitement continue",
        "closure_proposed": "L’administration propose de clore le dossier",
        "rated": "Votre avis sur la réponse a été reçu",
        "reopened": "Dossier rouvert à votre demande",
        "closed": "Dossier clos",
        "withdrawn": "Vous avez retiré votre réclamation",
        "contact_changed": "Vos coordonnées ont été mises à jour",
        "escalated": "Retard de réponse signalé à l’échelon supérieur",
        "action_refused": "Votre demande n’est pas possible à ce stade",
        "notification_sent": "Message envoyé",
        "notification_delivered": "Message remis",
        "notification_failed": "Un message n’a pas pu vous être remis",
    },
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
    statuses={
        "received": "We have received your complaint",
        "in_triage": "A member of staff is looking for the administration concerned",
        "inadmissible": "The complaint cannot be accepted",
        "parked": "Administration found, waiting to be handed over",
        "forwarded": "Handed to the administration",
        "acknowledged": "The administration has confirmed receipt",
        "in_progress": "The administration is working on your complaint",
        "awaiting_citizen": "The administration has asked you a question and awaits your reply",
        "closed": "File closed",
        "withdrawn": "You withdrew your complaint",
        "answered": "The administration has answered",
    },
    changes={
        "opened": "File opened",
        "sent_to_triage": "Given to a member of staff to find the administration concerned",
        "found_inadmissible": "Complaint declared inadmissible",
        "parked": "Complaint waiting to be handed over",
        "forwarded": "Complaint handed to the administration",
        "returned": "Complaint returned: it is not a matter for this administration",
        "acknowledged": "Receipt confirmed by the administration",
        "work_started": "The administration started work",
        "answered": "Answer of the administration",
        "triage_overdue": "Supervisors told that the administration concerned is still to be found",
        "forward_deadline_missed": "Deadline for handing over missed",
        "answer_deadline_approaching": "Administration reminded that the deadline for its answer is near",
        "answer_deadline_missed": "Deadline for the answer missed without an answer",
        "citizen_asked": "Question of the administration",
        "citizen_wrote": "Your message was received",
        "question_expired": "The question was not answered in time: work goes on",
        "closure_proposed": "The administration proposes to close the file",
        "rated": "Your opinion of the answer was received",
        "reopened": "File reopened at your request",
        "closed": "File closed",
        "withdrawn": "You withdrew your complaint",
        "contact_changed": "Your contact details were updated",
        "escalated": "Late answer reported to a higher level",
        "action_refused": "What you asked for is not possible at this stage",
        "notification_sent": "Message sent",
        "notification_delivered": "Message delivered",
        "notification_failed": "A message could not be delivered",
    },
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
