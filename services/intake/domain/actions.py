"""What a citizen does with a filed complaint, as filed, and how it becomes an event. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.intake.domain.attachments import MAXIMUM_ATTACHMENTS
from services.intake.domain.filing import SOURCE, EmailAddress, Filed, Normalised, Phone
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import (
    MAXIMUM_TEXT,
    Attachment,
    Channel,
    CitizenActed,
    ClearPersonalData,
    Complainant,
    PersonalContent,
    PreferredContact,
)
from shared.contracts.lifecycle import CitizenAction

Words = Annotated[str, Normalised, Field(min_length=1, max_length=MAXIMUM_TEXT)]


class FiledAction(Filed):
    """What all actions have in common."""

    channel: Channel = Channel.WEB


class FiledMessage(FiledAction):
    """Something to add, or the reply to a question."""

    text: Words
    attachments: Annotated[tuple[UUID, ...], Field(max_length=MAXIMUM_ATTACHMENTS)] = ()


class FiledRating(FiledAction):
    """Whether the answer satisfies, and why."""

    satisfied: bool
    text: Words | None = None


class FiledReopening(FiledAction):
    """Why the answer is not accepted."""

    text: Words


class FiledWithdrawal(FiledAction):
    """The citizen no longer wants an answer; a reason may be given."""

    text: Words | None = None


class FiledContact(FiledAction):
    """How and where the citizen wants to be told from now on."""

    preferred_contact: PreferredContact
    phone: Phone | None = None
    email: EmailAddress | None = None

    @model_validator(mode="after")
    def _contact_is_given(self) -> Self:
        needed = {PreferredContact.SMS: self.phone, PreferredContact.EMAIL: self.email, PreferredContact.NONE: ""}
        if needed[self.preferred_contact] is None:
            raise PydanticCustomError("contact_missing", "no contact for the preferred way")
        return self


ACTIONS: dict[str, tuple[CitizenAction, type[FiledAction]]] = {
    "messages": (CitizenAction.MESSAGE, FiledMessage),
    "rating": (CitizenAction.RATING, FiledRating),
    "reopening": (CitizenAction.REOPENING, FiledReopening),
    "withdrawal": (CitizenAction.WITHDRAWAL, FiledWithdrawal),
    "contact": (CitizenAction.CONTACT, FiledContact),
}
"""The last part of the path → the action and the body it takes."""


@dataclass(frozen=True, slots=True)
class Action:
    """An accepted action on its way to the database. The event's id is made from complaint and Idempotency-Key."""

    digest: bytes
    """SHA-256 of what was filed: the same key with another digest is refused."""

    event: Event[CitizenActed]


def action(
    complaint_id: UUID,
    kind: CitizenAction,
    filed: FiledAction,
    key: str,
    now: datetime,
    attachments: Sequence[Attachment] = (),
) -> Action:
    """The action of a citizen on a complaint, under a client's Idempotency-Key."""
    given = filed.model_dump()
    complainant = None
    if isinstance(filed, FiledContact):
        complainant = Complainant(phone=filed.phone, email=filed.email)
    data = CitizenActed(
        complaint_id=complaint_id,
        action=kind,
        acted_at=now,
        channel=filed.channel,
        satisfied=given.get("satisfied"),
        preferred_contact=given.get("preferred_contact"),
        attachments=tuple(attachments),
        personal=ClearPersonalData(
            content=PersonalContent(subject="", text=given.get("text") or "", complainant=complainant)
        ),
    )
    action_id = derived_id(complaint_id, f"action-{key}")
    event = Event(id=action_id, source=SOURCE, subject=complaint_id, time=now, causation_id=action_id, data=data)
    return Action(digest_of(data), event)


def digest_of(data: CitizenActed) -> bytes:
    """SHA-256 of what was filed, without what intake added; the same from a filing and from its event."""
    return sha256(data.model_dump_json(exclude={"acted_at"}).encode()).digest()
