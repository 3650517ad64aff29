"""A complaint as filed, and how it becomes an event. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Self
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.intake.domain.attachments import MAXIMUM_ATTACHMENTS
from shared.contracts.administrations import registry
from shared.contracts.envelope import Event
from shared.contracts.events import (
    MAXIMUM_TEXT,
    Attachment,
    Channel,
    ClearPersonalData,
    Complainant,
    ComplaintSubmitted,
    Kind,
    Language,
    PersonalContent,
    Place,
    PreferredContact,
)
from shared.contracts.reference import reference

RECEIPT_ZONE = ZoneInfo("Africa/Casablanca")
"""The receipt day is the date here (design section 4)."""

SOURCE = "/chikaya/intake"
_KEYS = UUID("2c0f6f0e-8a55-5d0c-9f4e-0b9a2f6f3a55")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\ufeff]")
_PHONE = re.compile(r"^\+?[0-9]{9,15}$")
_EMAIL = re.compile(r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$")


def _normalised(value: object) -> object:
    """NFC, no control characters, no space around; meaning is left alone."""
    if not isinstance(value, str):
        return value
    return unicodedata.normalize("NFC", _CONTROLS.sub("", value.replace("\r\n", "\n"))).strip()


def _known_administration(code: str) -> str:
    if code not in registry():
        raise PydanticCustomError("unknown_administration", "unknown administration")
    return code


def _phone(value: str) -> str:
    compact = re.sub(r"[\s.()-]", "", value)
    if not _PHONE.match(compact):
        raise PydanticCustomError("invalid_phone", "not a telephone number")
    return compact


def _email(value: str) -> str:
    if len(value) > 254 or not _EMAIL.match(value):
        raise PydanticCustomError("invalid_email", "not an e-mail address")
    return value


Normalised = BeforeValidator(_normalised)


class Filed(BaseModel):
    """Base of what channels send: nothing unknown is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Phone = Annotated[str, Normalised, AfterValidator(_phone)]
EmailAddress = Annotated[str, Normalised, AfterValidator(_email)]


class FiledComplainant(Filed):
    """Who complains, as filed."""

    name: Annotated[str, Normalised, Field(max_length=200)] | None = None
    phone: Phone | None = None
    email: EmailAddress | None = None


_Code = Annotated[str, Normalised, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]


class FiledPlace(Filed):
    """Where it happened, as filed: official territory codes and/or WGS 84 coordinates in degrees."""

    region: _Code | None = None
    province: _Code | None = None
    commune: _Code | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None


class Filing(Filed):
    """The body of `POST /v1/complaints`. No `complainant` means anonymous."""

    kind: Kind = Kind.COMPLAINT
    subject: Annotated[str, Normalised, Field(min_length=3, max_length=200)]
    text: Annotated[str, Normalised, Field(min_length=1, max_length=MAXIMUM_TEXT)]
    language: Language | None = None
    channel: Channel
    place: FiledPlace | None = None
    administration: Annotated[str, AfterValidator(_known_administration)] | None = None
    against_administration: bool = False
    complainant: FiledComplainant | None = None
    preferred_contact: PreferredContact = PreferredContact.NONE
    attachments: Annotated[tuple[UUID, ...], Field(max_length=MAXIMUM_ATTACHMENTS)] = ()

    @model_validator(mode="after")
    def _contact_is_given(self) -> Self:
        wanted = self.preferred_contact
        given = self.complainant or FiledComplainant()
        if (wanted is PreferredContact.SMS and not given.phone) or (
            wanted is PreferredContact.EMAIL and not given.email
        ):
            raise PydanticCustomError("contact_missing", "no contact for the preferred way")
        return self


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted filing on its way to the database."""

    key: UUID
    """From client and Idempotency-Key; also the causation of the event."""

    digest: bytes
    """SHA-256 of the filing: the same key with another digest is refused."""

    event: Event[ComplaintSubmitted]

    earlier_key: UUID | None = None
    """Of a filing without an Idempotency-Key: the key it would have had in the window of time before this one."""


def idempotency_key(client: str, key: str) -> UUID:
    """The durable identity of a client's Idempotency-Key."""
    return uuid5(_KEYS, f"{client}\n{key}")


def sender(filing: Filing) -> str | None:
    """What tells the person who files from others: phone or e-mail; None when nothing does."""
    given = filing.complainant
    return None if given is None else given.phone or given.email


def submission(
    filing: Filing,
    client: str,
    client_key: str | None,
    complaint_id: UUID,
    number: int,
    now: datetime,
    access_code_key: str,
    attachments: Sequence[Attachment] = (),
) -> Submission:
    """The submission of a filing; `number` is random, 0..99,999,999.

    Without a `client_key`, the same content of the same sender within minutes has the same key. A sender whom nothing
    tells from others has a key of its own each time: two neighbours may complain in the same words, and neither may
    be given the other's receipt.
    """
    given = filing.complainant
    data = ComplaintSubmitted(
        complaint_id=complaint_id,
        reference=reference(now.astimezone(RECEIPT_ZONE).date(), number),
        received_at=now,
        kind=filing.kind,
        channel=filing.channel,
        language=filing.language,
        place=None if filing.place is None else Place(**filing.place.model_dump()),
        named_administration=filing.administration,
        against_named_administration=filing.against_administration,
        preferred_contact=filing.preferred_contact,
        access_code_key=access_code_key,
        access_code_issue=1,
        attachments=tuple(attachments),
        personal=ClearPersonalData(
            content=PersonalContent(
                subject=filing.subject,
                text=filing.text,
                complainant=None if given is None else Complainant(**given.model_dump()),
            )
        ),
    )
    digest = digest_of(data)
    key, earlier_key = idempotency_key(client, client_key or str(complaint_id)), None
    if client_key is None and sender(filing) is not None:
        window = int(now.timestamp() // REPEAT_WINDOW.total_seconds())
        key, earlier_key = (idempotency_key(client, f"\n{digest.hex()}\n{number}") for number in (window, window - 1))
    event = Event(id=complaint_id, source=SOURCE, subject=complaint_id, time=now, causation_id=key, data=data)
    return Submission(key, digest, event, earlier_key)


def digest_of(data: ComplaintSubmitted) -> bytes:
    """SHA-256 of what was filed, without what intake added; the same from a filing and from its event."""
    return sha256(data.model_dump_json(exclude=_ADDED).encode()).digest()


REPEAT_WINDOW = timedelta(minutes=10)
"""For so long a repeat without an Idempotency-Key is answered with the first receipt."""

_ADDED = {"complaint_id", "reference", "received_at", "access_code_key", "access_code_issue"}
