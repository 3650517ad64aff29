"""The rules of the triage desk: who may hold a complaint, and what a decision of an officer becomes. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.contracts.administrations import MUNICIPAL, registry
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import (
    MAXIMUM_TEXT,
    Candidate,
    ComplaintClassified,
    DecidedBy,
    Decision,
    Kind,
    Language,
    Nature,
)

CLAIM = timedelta(minutes=10)
"""An officer who does nothing for so long loses the complaint to the next."""

HOLD = timedelta(seconds=30)
"""A decision goes out after this, and can be undone until then."""

SOURCE = "/chikaya/classifier"


def _routable(code: str) -> str:
    if code != MUNICIPAL and code not in registry():
        raise PydanticCustomError("unknown_administration", "unknown administration")
    return code


def _without_nul(text: str) -> str:
    return text.replace("\x00", "")


class OfficerDecision(BaseModel):
    """What an officer decides: `route` to an administration, or `inadmissible` with a reason the citizen reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal[Decision.ROUTE, Decision.INADMISSIBLE]
    administration: Annotated[str, AfterValidator(_routable)] | None = None
    nature: Nature | None = None
    message: Annotated[str, AfterValidator(_without_nul), Field(min_length=10, max_length=MAXIMUM_TEXT)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.decision is Decision.ROUTE and self.administration is None:
            raise PydanticCustomError("missing", "an administration is needed")
        if self.decision is Decision.INADMISSIBLE and self.message is None:
            raise PydanticCustomError("missing", "a reason the citizen reads is needed")
        return self


@dataclass(frozen=True, slots=True)
class TriageItem:
    """A complaint that waits for a person, with the model's suggestion and its reasons."""

    complaint_id: UUID
    round: int
    reference: str
    received_at: datetime
    subject: str
    text: str
    kind: Kind
    nature: Nature
    language: Language | None
    candidates: tuple[Candidate, ...]
    evidence: tuple[str, ...]
    reason: str
    model_version: str


def decided(item: TriageItem, decision: OfficerDecision, now: datetime) -> Event[ComplaintClassified]:
    """The classification that follows from an officer's decision; there is one a round, so its id is stable."""
    data = ComplaintClassified(
        complaint_id=item.complaint_id,
        decision=decision.decision,
        administration=decision.administration,
        candidates=item.candidates,
        nature=decision.nature or item.nature,
        kind=item.kind,
        language=item.language,
        model_version=item.model_version,
        round=item.round,
        decided_by=DecidedBy.OFFICER,
        message=decision.message,
    )
    event_id = derived_id(item.complaint_id, f"officer-decision-{item.round}")
    return Event(event_id, SOURCE, item.complaint_id, now, causation_id=event_id, data=data)
