"""What citizens read of a case's status and of each step of its timeline, wherever they read it.

Amazigh has no reviewed texts yet.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from shared.contracts.lifecycle import CaseStatus, Change

Spoken = Literal["ar", "fr", "en"]
"""The languages that texts are written in."""

NOTIFICATION_SENT = "notification_sent"
"""The timeline's word for a message that went out."""

NOTIFICATION_DELIVERED = "notification_delivered"
"""The timeline's word for a message that arrived."""

NOTIFICATION_FAILED = "notification_failed"
"""The timeline's word for a message that reached nobody."""

ACTION_REFUSED = "action_refused"
"""The timeline's word for what the citizen asked for and could not have."""


class Wording(NamedTuple):
    """The words of one language: by status of the case, and by step of the timeline."""

    statuses: Mapping[str, str]
    steps: Mapping[str, str]


_ARABIC = Wording(
    statuses={
        CaseStatus.RECEIVED: "توصلنا بشكايتكم",
        CaseStatus.IN_TRIAGE: "يعمل أحد موظفينا على تحديد الإدارة المعنية",
        CaseStatus.PARKED: "حُددت الإدارة المعنية، والإحالة عليها قيد الانتظار",
        CaseStatus.FORWARDED: "أُحيلت الشكاية على الإدارة",
        CaseStatus.ACKNOWLEDGED: "أكدت الإدارة توصلها بالشكاية",
        CaseStatus.IN_PROGRESS: "الإدارة بصدد معالجة الشكاية",
        CaseStatus.AWAITING_CITIZEN: "طرحت عليكم الإدارة سؤالا، وهي في انتظار جوابكم",
        CaseStatus.ANSWERED: "أجابت الإدارة",
        CaseStatus.CLOSED: "أُغلق الملف",
        CaseStatus.WITHDRAWN: "سحبتم شكايتكم",
        CaseStatus.INADMISSIBLE: "لا يمكن قبول الشكاية",
    },
    steps={
        Change.OPENED: "فُتح الملف",
        Change.SENT_TO_TRIAGE: "عُرضت الشكاية على أحد موظفينا لتحديد الإدارة المعنية",
        Change.FOUND_INADMISSIBLE: "تعذر قبول الشكاية",
        Change.PARKED: "وُضعت الشكاية في انتظار الإحالة",
        Change.FORWARDED: "أُحيلت الشكاية على الإدارة",
        Change.RETURNED: "أعادت الإدارة الشكاية لأنها لا تدخل في اختصاصها",
        Change.ACKNOWLEDGED: "أكدت الإدارة توصلها بالشكاية",
        Change.WORK_STARTED: "شرعت الإدارة في معالجة الشكاية",
        Change.CITIZEN_ASKED: "طرحت عليكم الإدارة سؤالا",
        Change.CITIZEN_WROTE: "توصلنا برسالتكم",
        Change.QUESTION_EXPIRED: "انقضى أجل الجواب عن سؤال الإدارة، وتواصلت المعالجة",
        Change.ANSWERED: "أجابت الإدارة",
        Change.CLOSURE_PROPOSED: "اقترحت الإدارة إغلاق الملف",
        Change.RATED: "توصلنا برأيكم في الجواب",
        Change.REOPENED: "أُعيد فتح الملف بطلب منكم",
        Change.CLOSED: "أُغلق الملف",
        Change.WITHDRAWN: "سحبتم شكايتكم",
        Change.CONTACT_CHANGED: "حُيّنت وسيلة التواصل معكم",
        Change.TRIAGE_OVERDUE: "أُحيط المشرفون علما بالتأخر في تحديد الإدارة المعنية",
        Change.FORWARD_DEADLINE_MISSED: "انقضى أجل الإحالة على الإدارة",
        Change.ANSWER_DEADLINE_APPROACHING: "تذكير الإدارة بقرب انقضاء أجل الجواب",
        Change.ANSWER_DEADLINE_MISSED: "انقضى أجل الجواب دون رد من الإدارة",
        Change.ESCALATED: "رُفع التأخر في الجواب إلى مستوى أعلى",
        NOTIFICATION_SENT: "أُرسلت إليكم رسالة",
        NOTIFICATION_DELIVERED: "وصلتكم الرسالة",
        NOTIFICATION_FAILED: "تعذر إيصال رسالة إليكم",
        ACTION_REFUSED: "تعذرت الاستجابة لطلبكم في هذه المرحلة",
    },
)
_FRENCH = Wording(
    statuses={
        CaseStatus.RECEIVED: "Nous avons reçu votre réclamation",
        CaseStatus.IN_TRIAGE: "Un agent recherche l’administration concernée",
        CaseStatus.PARKED: "Administration trouvée, transmission en attente",
        CaseStatus.FORWARDED: "Transmise à l’administration",
        CaseStatus.ACKNOWLEDGED: "L’administration en a accusé réception",
        CaseStatus.IN_PROGRESS: "L’administration traite votre réclamation",
        CaseStatus.AWAITING_CITIZEN: "L’administration vous a posé une question et attend votre réponse",
        CaseStatus.ANSWERED: "L’administration a répondu",
        CaseStatus.CLOSED: "Dossier clos",
        CaseStatus.WITHDRAWN: "Vous avez retiré votre réclamation",
        CaseStatus.INADMISSIBLE: "Réclamation non recevable",
    },
    steps={
        Change.OPENED: "Dossier ouvert",
        Change.SENT_TO_TRIAGE: "Réclamation confiée à un agent pour orientation",
        Change.FOUND_INADMISSIBLE: "Réclamation déclarée non recevable",
        Change.PARKED: "Réclamation mise en attente de transmission",
        Change.FORWARDED: "Réclamation transmise à l’administration",
        Change.RETURNED: "Réclamation renvoyée\u00a0: elle ne relève pas de cette administration",
        Change.ACKNOWLEDGED: "Accusé de réception de l’administration",
        Change.WORK_STARTED: "Traitement commencé par l’administration",
        Change.CITIZEN_ASKED: "Question de l’administration",
        Change.CITIZEN_WROTE: "Votre message a été reçu",
        Change.QUESTION_EXPIRED: "Question restée sans réponse\u00a0: le traitement continue",
        Change.ANSWERED: "Réponse de l’administration",
        Change.CLOSURE_PROPOSED: "L’administration propose de clore le dossier",
        Change.RATED: "Votre avis sur la réponse a été reçu",
        Change.REOPENED: "Dossier rouvert à votre demande",
        Change.CLOSED: "Dossier clos",
        Change.WITHDRAWN: "Vous avez retiré votre réclamation",
        Change.CONTACT_CHANGED: "Vos coordonnées ont été mises à jour",
        Change.TRIAGE_OVERDUE: "Retard d’orientation signalé aux superviseurs",
        Change.FORWARD_DEADLINE_MISSED: "Délai de transmission dépassé",
        Change.ANSWER_DEADLINE_APPROACHING: "Rappel à l’administration\u00a0: le délai de réponse approche",
        Change.ANSWER_DEADLINE_MISSED: "Délai de réponse dépassé sans réponse de l’administration",
        Change.ESCALATED: "Retard de réponse signalé à l’échelon supérieur",
        NOTIFICATION_SENT: "Message envoyé",
        NOTIFICATION_DELIVERED: "Message remis",
        NOTIFICATION_FAILED: "Un message n’a pas pu vous être remis",
        ACTION_REFUSED: "Votre demande n’est pas possible à ce stade",
    },
)
_ENGLISH = Wording(
    statuses={
        CaseStatus.RECEIVED: "We have received your complaint",
        CaseStatus.IN_TRIAGE: "A member of staff is looking for the administration concerned",
        CaseStatus.PARKED: "Administration found, waiting to be handed over",
        CaseStatus.FORWARDED: "Handed to the administration",
        CaseStatus.ACKNOWLEDGED: "The administration has confirmed receipt",
        CaseStatus.IN_PROGRESS: "The administration is working on your complaint",
        CaseStatus.AWAITING_CITIZEN: "The administration has asked you a question and awaits your reply",
        CaseStatus.ANSWERED: "The administration has answered",
        CaseStatus.CLOSED: "File closed",
        CaseStatus.WITHDRAWN: "You withdrew your complaint",
        CaseStatus.INADMISSIBLE: "The complaint cannot be accepted",
    },
    steps={
        Change.OPENED: "File opened",
        Change.SENT_TO_TRIAGE: "Given to a member of staff to find the administration concerned",
        Change.FOUND_INADMISSIBLE: "Complaint declared inadmissible",
        Change.PARKED: "Complaint waiting to be handed over",
        Change.FORWARDED: "Complaint handed to the administration",
        Change.RETURNED: "Complaint returned: it is not a matter for this administration",
        Change.ACKNOWLEDGED: "Receipt confirmed by the administration",
        Change.WORK_STARTED: "The administration started work",
        Change.CITIZEN_ASKED: "Question of the administration",
        Change.CITIZEN_WROTE: "Your message was received",
        Change.QUESTION_EXPIRED: "The question was not answered in time: work goes on",
        Change.ANSWERED: "Answer of the administration",
        Change.CLOSURE_PROPOSED: "The administration proposes to close the file",
        Change.RATED: "Your opinion of the answer was received",
        Change.REOPENED: "File reopened at your request",
        Change.CLOSED: "File closed",
        Change.WITHDRAWN: "You withdrew your complaint",
        Change.CONTACT_CHANGED: "Your contact details were updated",
        Change.TRIAGE_OVERDUE: "Supervisors told that the administration concerned is still to be found",
        Change.FORWARD_DEADLINE_MISSED: "Deadline for handing over missed",
        Change.ANSWER_DEADLINE_APPROACHING: "Administration reminded that the deadline for its answer is near",
        Change.ANSWER_DEADLINE_MISSED: "Deadline for the answer missed without an answer",
        Change.ESCALATED: "Late answer reported to a higher level",
        NOTIFICATION_SENT: "Message sent",
        NOTIFICATION_DELIVERED: "Message delivered",
        NOTIFICATION_FAILED: "A message could not be delivered",
        ACTION_REFUSED: "What you asked for is not possible at this stage",
    },
)

WORDING: Mapping[str, Wording] = {"ar": _ARABIC, "fr": _FRENCH, "en": _ENGLISH}
