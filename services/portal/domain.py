"""What the pages say, in Arabic and in French, and what a filled form means. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from shared.contracts.lifecycle import CaseStatus, Change
from shared.contracts.reference import parse_reference

PageLanguage = Literal["ar", "fr"]

LANGUAGES: tuple[PageLanguage, ...] = ("ar", "fr")

_ZONE = ZoneInfo("Africa/Casablanca")
_LOCALES: Mapping[PageLanguage, str] = {"ar": "ar_MA", "fr": "fr_MA"}
_PATTERNS: Mapping[PageLanguage, str] = {"ar": "EEEE d MMMM y، HH:mm", "fr": "EEEE d MMMM y 'à' HH:mm"}
_LONGEST_CODE = 40


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the citizen keeps."""

    reference: str
    access_code: str
    received_at: datetime


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
class NamedAdministration:
    """An administration, with its name in both languages."""

    code: str
    name_fr: str
    name_ar: str

    def name(self, language: PageLanguage) -> str:
        """Its name in the language of the page."""
        return self.name_ar if language == "ar" else self.name_fr


NOTIFICATION_SENT = "notification_sent"
"""The timeline's word for a message that went out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a complaint: a `Change`, or what became of a notification."""

    at: datetime
    change: str
    administration: NamedAdministration | None = None


@dataclass(frozen=True, slots=True)
class FollowedComplaint:
    """Where a complaint stands. Deadlines are None until they are computed, moments after receipt."""

    reference: str
    status: CaseStatus
    since: datetime
    received_at: datetime
    administration: NamedAdministration | None = None
    on_behalf_of: NamedAdministration | None = None
    forward_by: datetime | None = None
    answer_by: datetime | None = None
    answer: str | None = None
    timeline: tuple[Step, ...] = ()


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

    def filing(self, language: PageLanguage) -> dict[str, Any]:
        """The body intake expects. Without name, phone and e-mail the complaint is anonymous."""
        typed = {"name": self.name.strip(), "phone": self.phone.strip(), "email": self.email.strip()}
        complainant = {name: value for name, value in typed.items() if value}
        filing: dict[str, Any] = {
            "kind": self.kind,
            "subject": self.subject,
            "text": self.text,
            "language": language,
            "channel": "web",
            "preferred_contact": self.preferred_contact,
        }
        if complainant:
            filing["complainant"] = complainant
        if self.administration:
            filing["administration"] = self.administration
        return filing


@dataclass(frozen=True, slots=True)
class FormErrors:
    """Messages by the name of the form field, in the order of the page, and those of no field."""

    fields: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.general)


_FORM_FIELDS = ("kind", "subject", "text", "administration", "name", "phone", "email", "preferred_contact")


def form_errors(refusal: Refusal, form: FilingForm) -> FormErrors:
    """Where each message of a refusal goes; a missing contact belongs to the field of the chosen way."""
    whole_form = {"sms": "phone", "email": "email"}.get(form.preferred_contact, "")
    found: dict[str, str] = {}
    general: list[str] = []
    for error in refusal.errors:
        name = error.field.removeprefix("complainant.")
        name = whole_form if name == "body" else name
        if name in _FORM_FIELDS:
            found.setdefault(name, error.message)
        else:
            general.append(error.message)
    if not refusal.errors:
        general.append(refusal.title)
    return FormErrors({name: found[name] for name in _FORM_FIELDS if name in found}, tuple(general))


def credentials(reference: str, access_code: str) -> tuple[str, str] | None:
    """Reference and code in canonical form, None when they cannot belong to any complaint."""
    canonical = parse_reference(reference)
    digits = "".join(str(int(character)) for character in access_code if character.isdecimal())
    return (canonical, digits) if canonical and 0 < len(digits) <= _LONGEST_CODE else None


def shown_date(moment: datetime, language: PageLanguage) -> str:
    """The instant as people in Morocco read it."""
    return format_datetime(moment, _PATTERNS[language], tzinfo=_ZONE, locale=_LOCALES[language])


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
    already_sent: str
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
    you: str
    you_hint: str
    name: str
    phone: str
    phone_hint: str
    email: str
    contact: str
    contacts: Mapping[str, str]
    send: str
    filed_title: str
    filed_keep: str
    filed_date: str
    reference: str
    reference_hint: str
    access_code: str
    access_code_hint: str
    follow_send: str
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
    statuses: Mapping[CaseStatus, str]
    changes: Mapping[str, str]


_AR = Texts(
    direction="rtl",
    other_language="Français",
    desk="شكاية",
    tagline="البوابة الوطنية للشكايات",
    skip="انتقل إلى المحتوى",
    languages="اللغة",
    home="الصفحة الرئيسية",
    footer="خدمة عمومية مجانية. تُستعمل معطياتكم الشخصية لمعالجة شكايتكم فقط.",
    home_title="قدموا شكايتكم، ونحن نوصلها إلى الإدارة المعنية",
    home_lead="لا حاجة إلى معرفة الإدارة المختصة: صفوا ما حدث وتتبعوا شكايتكم إلى غاية التوصل بالجواب.",
    file_title="تقديم شكاية",
    file_lead="دقائق قليلة تكفي. لا يلزم إنشاء حساب، ويمكنكم عدم ذكر هويتكم.",
    file_action="تقديم شكاية",
    follow_title="تتبع شكاية",
    follow_lead="أدخلوا رقم الشكاية والرمز السري اللذين توصلتم بهما عند تقديمها.",
    follow_action="تتبع شكاية",
    how_title="كيف تسير الأمور؟",
    how=(
        "تصفون ما حدث بكلماتكم، فتتوصلون برقم الشكاية ورمز سري.",
        "نحيل شكايتكم على الإدارة المعنية داخل الأجل القانوني.",
        "تجيب الإدارة، وتطلعون على جوابها هنا.",
    ),
    required="إلزامي",
    optional="اختياري",
    error_prefix="خطأ",
    error_title="المرجو تصحيح ما يلي",
    unreachable="الخدمة غير متاحة مؤقتا. لم يضع شيء مما كتبتم: المرجو إعادة المحاولة بعد لحظات.",
    already_sent="سبق إرسال هذه الاستمارة بمحتوى مختلف. إذا أرسلتموها من جديد فستُسجَّل شكاية ثانية.",
    your_complaint="شكايتكم",
    kind="ما الذي تودون تقديمه؟",
    kinds={"complaint": "شكاية", "observation": "ملاحظة", "suggestion": "اقتراح"},
    subject="الموضوع",
    subject_hint="في بضع كلمات، مثلا: تأخر تسليم شهادة إدارية.",
    text="ماذا حدث؟",
    text_hint="اذكروا المكان والتاريخ وما تطلبونه. 8000 حرف على الأكثر.",
    administration="الإدارة المعنية",
    administration_hint="إذا كنتم لا تعرفونها، فاتركوا الاختيار لنا.",
    administration_unknown="لا أعرف",
    you="معلوماتكم",
    you_hint="اتركوا هذه الخانات فارغة إذا كنتم لا تودون ذكر هويتكم.",
    name="الاسم الكامل",
    phone="رقم الهاتف",
    phone_hint="مثلا: 0612345678",
    email="البريد الإلكتروني",
    contact="كيف نخبركم بالمستجدات؟",
    contacts={
        "none": "لا تراسلوني، سأتتبع الشكاية هنا",
        "sms": "برسالة نصية قصيرة (SMS)",
        "email": "بالبريد الإلكتروني",
    },
    send="إرسال",
    filed_title="توصلنا بشكايتكم",
    filed_keep="احتفظوا بهذين الرقمين معا: لا يمكن تتبع الشكاية بدونهما. لا تطلعوا أحدا على الرمز السري.",
    filed_date="تاريخ التوصل",
    reference="رقم الشكاية",
    reference_hint="خمسة عشر رقما، مثلا: 26123-4567-8901-23",
    access_code="الرمز السري",
    access_code_hint="ثمانية أرقام.",
    follow_send="عرض الشكاية",
    not_found="رقم الشكاية أو الرمز السري غير صحيح. المرجو التحقق منهما.",
    status="الوضعية",
    since="منذ",
    received_at="تاريخ التوصل بالشكاية",
    handled_by="الإدارة المكلفة",
    not_assigned="لم تحدد بعد",
    on_behalf_of="نيابة عن",
    deadlines="الآجال",
    forward_by="آخر أجل للإحالة على الإدارة",
    answer_by="آخر أجل للجواب",
    answer="جواب الإدارة",
    timeline="مراحل المعالجة",
    follow_another="تتبع شكاية أخرى",
    statuses={
        CaseStatus.RECEIVED: "توصلنا بشكايتكم",
        CaseStatus.IN_TRIAGE: "يبحث أحد موظفينا عن الإدارة المعنية",
        CaseStatus.PARKED: "الإدارة معروفة، والإحالة عليها قيد الانتظار",
        CaseStatus.FORWARDED: "أحيلت على الإدارة",
        CaseStatus.ACKNOWLEDGED: "أكدت الإدارة توصلها بالشكاية",
        CaseStatus.IN_PROGRESS: "الإدارة بصدد معالجة الشكاية",
        CaseStatus.ANSWERED: "أجابت الإدارة",
    },
    changes={
        Change.OPENED: "فُتح الملف",
        Change.SENT_TO_TRIAGE: "عُرضت الشكاية على أحد موظفينا",
        Change.PARKED: "وُضعت الشكاية في انتظار الإحالة",
        Change.FORWARDED: "أُحيلت الشكاية على الإدارة",
        Change.ACKNOWLEDGED: "أكدت الإدارة توصلها بالشكاية",
        Change.WORK_STARTED: "شرعت الإدارة في المعالجة",
        Change.ANSWERED: "أجابت الإدارة",
        NOTIFICATION_SENT: "أُرسل إليكم إشعار",
    },
)

_FR = Texts(
    direction="ltr",
    other_language="العربية",
    desk="Chikaya",
    tagline="Le guichet national des réclamations",
    skip="Aller au contenu",
    languages="Langue",
    home="Accueil",
    footer="Service public gratuit. Vos données personnelles ne servent qu’au traitement de votre réclamation.",
    home_title="Déposez votre réclamation, nous la portons à la bonne administration",
    home_lead="Inutile de savoir qui est compétent\u00a0: décrivez ce qui s’est passé et suivez jusqu’à la réponse.",
    file_title="Déposer une réclamation",
    file_lead="Quelques minutes suffisent. Aucun compte n’est nécessaire et vous pouvez rester anonyme.",
    file_action="Déposer une réclamation",
    follow_title="Suivre une réclamation",
    follow_lead="Saisissez la référence et le code d’accès reçus lors du dépôt.",
    follow_action="Suivre une réclamation",
    how_title="Comment cela se passe-t-il\u00a0?",
    how=(
        "Vous décrivez les faits avec vos mots et recevez une référence et un code d’accès.",
        "Nous transmettons votre réclamation à l’administration concernée dans le délai légal.",
        "L’administration répond et vous lisez sa réponse ici.",
    ),
    required="obligatoire",
    optional="facultatif",
    error_prefix="Erreur",
    error_title="Veuillez corriger ce qui suit",
    unreachable="Service momentanément indisponible. Rien de ce que vous avez saisi n’est perdu\u00a0: "
    "veuillez réessayer dans quelques instants.",
    already_sent="Ce formulaire a déjà été envoyé avec un autre contenu. Si vous l’envoyez de nouveau, "
    "une seconde réclamation sera enregistrée.",
    your_complaint="Votre réclamation",
    kind="Que souhaitez-vous déposer\u00a0?",
    kinds={"complaint": "Une réclamation", "observation": "Une observation", "suggestion": "Une suggestion"},
    subject="Objet",
    subject_hint="En quelques mots, par exemple\u00a0: retard d’une attestation administrative.",
    text="Que s’est-il passé\u00a0?",
    text_hint="Indiquez le lieu, la date et ce que vous demandez. 8\u202f000 caractères au plus.",
    administration="Administration concernée",
    administration_hint="Si vous ne la connaissez pas, laissez-nous la trouver.",
    administration_unknown="Je ne sais pas",
    you="Vos coordonnées",
    you_hint="Laissez ces champs vides pour rester anonyme.",
    name="Nom complet",
    phone="Téléphone",
    phone_hint="Par exemple\u00a0: 0612345678",
    email="Adresse électronique",
    contact="Comment vous prévenir\u00a0?",
    contacts={
        "none": "Ne pas me prévenir, je suivrai ma réclamation ici",
        "sms": "Par SMS",
        "email": "Par courrier électronique",
    },
    send="Envoyer",
    filed_title="Nous avons reçu votre réclamation",
    filed_keep="Conservez les deux\u00a0: sans eux, le suivi est impossible. "
    "Ne communiquez le code d’accès à personne.",
    filed_date="Reçue le",
    reference="Référence",
    reference_hint="Quinze chiffres, par exemple\u00a0: 26123-4567-8901-23",
    access_code="Code d’accès",
    access_code_hint="Huit chiffres.",
    follow_send="Afficher la réclamation",
    not_found="La référence ou le code d’accès est inexact. Veuillez les vérifier.",
    status="État",
    since="Depuis le",
    received_at="Reçue le",
    handled_by="Administration chargée",
    not_assigned="Pas encore déterminée",
    on_behalf_of="Pour le compte de",
    deadlines="Délais",
    forward_by="Transmission à l’administration au plus tard le",
    answer_by="Réponse au plus tard le",
    answer="Réponse de l’administration",
    timeline="Étapes du traitement",
    follow_another="Suivre une autre réclamation",
    statuses={
        CaseStatus.RECEIVED: "Nous avons reçu votre réclamation",
        CaseStatus.IN_TRIAGE: "Un agent recherche l’administration concernée",
        CaseStatus.PARKED: "Administration trouvée, transmission en attente",
        CaseStatus.FORWARDED: "Transmise à l’administration",
        CaseStatus.ACKNOWLEDGED: "L’administration en a accusé réception",
        CaseStatus.IN_PROGRESS: "L’administration traite votre réclamation",
        CaseStatus.ANSWERED: "L’administration a répondu",
    },
    changes={
        Change.OPENED: "Dossier ouvert",
        Change.SENT_TO_TRIAGE: "Confiée à un agent pour orientation",
        Change.PARKED: "Mise en attente de transmission",
        Change.FORWARDED: "Transmise à l’administration",
        Change.ACKNOWLEDGED: "Accusé de réception de l’administration",
        Change.WORK_STARTED: "Traitement commencé par l’administration",
        Change.ANSWERED: "Réponse de l’administration",
        NOTIFICATION_SENT: "Un message vous a été envoyé",
    },
)

TEXTS: Mapping[PageLanguage, Texts] = {"ar": _AR, "fr": _FR}
