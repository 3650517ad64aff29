"""The events of Chikaya: one frozen class per type. JSON Schemas and the AsyncAPI document are made from these.

A change must be readable by the readers already out there: add optional fields, never rename, never narrow;
anything else is a new type with the next version (`….v2`).
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Base64Bytes, Field

from shared.contracts.administrations import AdministrationState
from shared.contracts.envelope import Contract, EventData
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change, CitizenAction, ReplyAction

MAXIMUM_TEXT = 8_000


class Kind(StrEnum):
    """What the citizen files."""

    COMPLAINT = "complaint"
    OBSERVATION = "observation"
    SUGGESTION = "suggestion"


class Nature(StrEnum):
    """What the complaint is about."""

    DELAY = "delay"
    REFUSAL = "refusal"
    STAFF_CONDUCT = "staff_conduct"
    INTEGRITY = "integrity"
    INFRASTRUCTURE = "infrastructure"
    AVAILABILITY = "availability"
    BILLING = "billing"
    RECORD_ERROR = "record_error"
    ENTITLEMENT = "entitlement"
    INFORMATION = "information"
    SAFETY = "safety"
    OTHER = "other"


class Channel(StrEnum):
    """How the complaint came in."""

    WEB = "web"
    MOBILE = "mobile"
    PHONE = "phone"
    COUNTER = "counter"
    PARTNER = "partner"


class Language(StrEnum):
    """A language people write in: `ary` is Darija in Arabic script, `ary-latn` in Latin letters."""

    AR = "ar"
    FR = "fr"
    ARY = "ary"
    ARY_LATN = "ary-latn"
    ZGH = "zgh"
    EN = "en"


class PreferredContact(StrEnum):
    """How the citizen wants to be told."""

    SMS = "sms"
    EMAIL = "email"
    NONE = "none"


class Place(Contract):
    """Where it happened: official territory codes and/or WGS 84 coordinates in degrees."""

    region: str | None = None
    province: str | None = None
    commune: str | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class Complainant(Contract):
    """Who complains. An anonymous complaint has none."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None


class PersonalContent(Contract):
    """What may say who the citizen is: identity and free text."""

    subject: str
    text: str
    complainant: Complainant | None = None


class ClearPersonalData(Contract):
    """Personal data in clear, for readers that hold no key."""

    sealing: Literal["none"] = "none"
    content: PersonalContent


class SealedPersonalData(Contract):
    """Personal data under the complaint's own key (AES-256-GCM over the JSON of `PersonalContent`)."""

    sealing: Literal["A256GCM"] = "A256GCM"
    key_id: UUID
    nonce: Base64Bytes
    ciphertext: Base64Bytes


PersonalData = Annotated[ClearPersonalData | SealedPersonalData, Field(discriminator="sealing")]


class SealedDataUnreadable(Exception):
    """Personal data is sealed and this reader has no key: the record waits until it has one."""


def personal_content(personal: ClearPersonalData | SealedPersonalData) -> PersonalContent:
    """The clear content. Raises SealedDataUnreadable for sealed data."""
    if isinstance(personal, SealedPersonalData):
        raise SealedDataUnreadable(f"personal data is sealed under key {personal.key_id}")
    return personal.content


class Attachment(Contract):
    """A file that belongs to a complaint, by the SHA-256 (hexadecimal) of its content; `size` in bytes.

    `scanned`: a scanner for malicious content looked at it and found nothing; else nobody looked.
    """

    sha256: str
    media_type: str
    size: int
    scanned: bool


class ComplaintSubmitted(EventData):
    """A complaint was accepted by intake. Carries all that intake knows of it, so that its journal can be rebuilt."""

    TYPE: ClassVar = "ma.chikaya.complaint.submitted.v1"

    complaint_id: UUID
    reference: str
    received_at: datetime
    kind: Kind
    channel: Channel
    language: Language | None = None
    place: Place | None = None
    named_administration: str | None = None
    against_named_administration: bool = False
    preferred_contact: PreferredContact = PreferredContact.NONE
    access_code_key: str
    access_code_issue: int
    attachments: tuple[Attachment, ...] = ()
    personal: PersonalData


class CitizenActed(EventData):
    """A citizen did something with their complaint, through any channel. The dispatcher applies or refuses it.

    `personal` holds the text of a message or the reason of a rating, a reopening or a withdrawal, and with
    `contact` the new phone or e-mail address; `satisfied` is a rating.
    """

    TYPE: ClassVar = "ma.chikaya.citizen.acted.v1"

    complaint_id: UUID
    action: CitizenAction
    acted_at: datetime
    channel: Channel
    satisfied: bool | None = None
    preferred_contact: PreferredContact | None = None
    attachments: tuple[Attachment, ...] = ()
    personal: PersonalData


class Decision(StrEnum):
    """What follows from a classification. `inadmissible` is only ever decided by a person."""

    ROUTE = "route"
    TRIAGE = "triage"
    INADMISSIBLE = "inadmissible"


class DecidedBy(StrEnum):
    """Who took a decision."""

    MODEL = "model"
    OFFICER = "officer"


class Candidate(Contract):
    """An administration that may be the right one, with a confidence 0..1."""

    administration: str
    confidence: Annotated[float, Field(ge=0, le=1)]


class ComplaintClassified(EventData):
    """The nature of a complaint and the administration concerned were found, or a person is needed to find them."""

    TYPE: ClassVar = "ma.chikaya.complaint.classified.v1"

    complaint_id: UUID
    decision: Decision
    reason: str | None = None
    administration: str | None = None
    candidates: tuple[Candidate, ...] = ()
    nature: Nature
    kind: Kind
    language: Language | None = None
    model_version: str
    round: int = 0
    """How many administrations had said `not_ours` when this was decided."""
    decided_by: DecidedBy = DecidedBy.MODEL
    message: Annotated[str, Field(max_length=MAXIMUM_TEXT)] | None = None
    """What the citizen reads about a decision of a person."""


class TriageRequested(EventData):
    """A complaint came back from an administration as not its own: it must be classified again without it."""

    TYPE: ClassVar = "ma.chikaya.complaint.triage-requested.v1"

    complaint_id: UUID
    reference: str
    received_at: datetime
    round: int
    refused: tuple[str, ...]
    reason: str
    suggested_administration: str | None = None
    kind: Kind
    language: Language | None = None
    place: Place | None = None
    personal: PersonalData


class Outcome(StrEnum):
    """What came of a complaint, in the administration's own judgement."""

    RESOLVED = "resolved"
    PARTLY_RESOLVED = "partly_resolved"
    EXPLAINED = "explained"
    REJECTED = "rejected"


class AssignmentState(Contract):
    """The work of one administration on a case. `on_behalf_of` is the body it stands in for."""

    assignment_id: UUID
    administration: str
    on_behalf_of: str | None = None
    status: AssignmentStatus
    assigned_at: datetime
    status_since: datetime
    question: str | None = None
    """What the citizen is asked, while `awaiting_citizen`."""
    answer: str | None = None
    outcome: Outcome | None = None
    closure_proposed: bool = False
    """The administration thinks that nothing is left to do."""
    attachments: tuple[str, ...] = ()
    """SHA-256 of the files that belong to the answer, in hexadecimal."""


class PastAnswer(Contract):
    """An answer that the citizen did not accept: its case was reopened."""

    administration: str
    answered_at: datetime
    answer: str | None = None
    outcome: Outcome | None = None


class Deadlines(Contract):
    """The legal deadlines as instants, and the policy version they were computed under.

    `moved_by` names the policy's rule that gave an earlier answer deadline than the law's. `reopened_answer_by` is
    the deadline of the last reopening, a clock of its own: `answer_by` stays as it was.
    """

    forward_by: datetime
    answer_by: datetime
    policy: str
    moved_by: str | None = None
    reopened_answer_by: datetime | None = None

    @property
    def current_answer_by(self) -> datetime:
        """The deadline of the answer that is awaited now."""
        return self.reopened_answer_by or self.answer_by


class CaseChanged(EventData):
    """A case got a new version: what changed, and its whole state after it. Readers keep the highest version."""

    TYPE: ClassVar = "ma.chikaya.case.changed.v1"

    complaint_id: UUID
    reference: str
    version: int
    change: Change
    status: CaseStatus
    received_at: datetime
    changed_at: datetime
    kind: Kind
    nature: Nature | None = None
    in_triage: bool = False
    triage_since: datetime | None = None
    inadmissible_reason: str | None = None
    candidates: tuple[Candidate, ...] = ()
    timers_fired: tuple[str, ...] = ()
    hops: int = 0
    refused: tuple[str, ...] = ()
    """The administrations that said `not_ours`, in order."""
    return_reason: str | None = None
    suggested_administration: str | None = None
    """What the last of them said, and whose it thinks it is."""
    against: str | None = None
    """The administration that must not be given the case, because it is complained of."""
    action_id: UUID | None = None
    """The citizen's action that this change applies."""
    questions: int = 0
    reopenings: int = 0
    escalation_level: int = 0
    satisfied: bool | None = None
    """The citizen's rating of the present answer."""
    past_answers: tuple[PastAnswer, ...] = ()
    assignments: tuple[AssignmentState, ...] = ()
    deadlines: Deadlines


class ActionRefused(EventData):
    """A citizen's action was not possible when it arrived. `reason` is a code; channels put it in words."""

    TYPE: ClassVar = "ma.chikaya.action.refused.v1"

    action_id: UUID
    complaint_id: UUID
    action: CitizenAction
    reason: str
    refused_at: datetime


class AssignmentForwarded(EventData):
    """A complaint handed to an administration, in its own inbox. Every reply must quote `assignment_id`."""

    TYPE: ClassVar = "ma.chikaya.assignment.forwarded.v1"

    assignment_id: UUID
    complaint_id: UUID
    reference: str
    administration: str
    on_behalf_of: str | None = None
    received_at: datetime
    forwarded_at: datetime
    answer_by: datetime
    kind: Kind
    nature: Nature | None = None
    language: Language | None = None
    place: Place | None = None
    personal: PersonalData


class AdministrationChanged(EventData):
    """News for an administration about its own connection, in its inbox; a client may ignore it.

    `provisioned`: its topics and credentials are in place. `ready` with a higher `generation`: its credentials were
    replaced. `offboarding`: it gets no more complaints.
    """

    TYPE: ClassVar = "ma.chikaya.administration.changed.v1"

    administration: str
    state: AdministrationState
    generation: int


class Notice(StrEnum):
    """What an administration is told about an assignment after it got it."""

    CITIZEN_MESSAGE = "citizen_message"
    REOPENED = "reopened"
    WITHDRAWN = "withdrawn"
    ANSWER_DUE_SOON = "answer_due_soon"
    ANSWER_OVERDUE = "answer_overdue"
    ESCALATED = "escalated"


class AssignmentNotice(EventData):
    """News about an assignment, in the inbox of the administration that has it."""

    TYPE: ClassVar = "ma.chikaya.assignment.notice.v1"

    assignment_id: UUID
    complaint_id: UUID
    reference: str
    administration: str
    notice: Notice
    at: datetime
    answer_by: datetime
    personal: PersonalData | None = None
    """What the citizen wrote, if that is the news."""


class AdministrationReplied(EventData):
    """What an administration says about one assignment, in its outbox. Hostile until checked."""

    TYPE: ClassVar = "ma.chikaya.administration.replied.v1"

    assignment_id: UUID
    action: ReplyAction
    text: Annotated[str, Field(max_length=MAXIMUM_TEXT)] | None = None
    outcome: Outcome | None = None
    """With `answered` and `closure_proposed`."""
    attachments: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...], Field(max_length=20)] = ()
    """With `answered`: SHA-256 of files uploaded before."""
    other_administration: Annotated[str, Field(max_length=64)] | None = None
    """With `not_ours`: whose it is, if known."""


class ReplyRejected(EventData):
    """A message of an administration was refused; `reply_id` is its `ce_id`, `origin` its topic/partition/offset."""

    TYPE: ClassVar = "ma.chikaya.reply.rejected.v1"

    administration: str
    origin: str
    reply_id: str | None = None
    reason: str
    detail: str


class DeliveryState(StrEnum):
    """What became of a message to a citizen.

    `sent`: the provider accepted it; `delivered`: it says that it arrived; `failed`: no channel is left to try.
    """

    SENT = "sent"
    NOT_WANTED = "not_wanted"
    DELIVERED = "delivered"
    FAILED = "failed"


class NotificationRecorded(EventData):
    """A message to the citizen of a complaint got a new state. Never holds an address or the message's text."""

    TYPE: ClassVar = "ma.chikaya.notification.recorded.v1"

    message_id: UUID
    complaint_id: UUID
    template: str
    channel: str
    state: DeliveryState
    at: datetime
