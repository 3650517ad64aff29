"""What operations may ask a list for, the order of its pages, and their cursors. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.contracts.events import Channel, Kind, Language, Nature
from shared.contracts.lifecycle import CaseStatus

LONGEST_PAGE = 200

Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]


class Filter(BaseModel):
    """Conditions on complaints; all of them hold together, `status` holds any of several.

    `q` is searched in subject and text: all of its words, the last one as a beginning. `overdue` names the deadline
    that passed unmet; such a list starts with what is overdue longest, every other with what was received last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: tuple[CaseStatus, ...] = ()
    administration: Code | None = None
    nature: Nature | None = None
    kind: Kind | None = None
    region: Code | None = None
    province: Code | None = None
    commune: Code | None = None
    channel: Channel | None = None
    language: Language | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None
    overdue: Literal["forward", "answer"] | None = None
    hops: Annotated[int, Field(ge=1, le=100)] | None = None
    """At least so many administrations said `not_ours`."""
    q: Annotated[str, Field(max_length=200)] | None = None

    @field_validator("received_from", "received_until")
    @classmethod
    def _zoned(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("a time needs its zone: 2026-03-02T12:00:00Z")
        return moment


class Cursor(NamedTuple):
    """The place after a row in the order of a list: a time and, between equal times, the complaint's id."""

    moment: datetime
    complaint_id: UUID

    def text(self) -> str:
        """For a URL."""
        return urlsafe_b64encode(f"{self.moment.isoformat()} {self.complaint_id}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The inverse of `text`. Raises ValueError."""
        moment, complaint_id = urlsafe_b64decode(text.encode()).decode().split(" ")
        parsed = datetime.fromisoformat(moment)
        if parsed.tzinfo is None:
            raise ValueError("a cursor's time has a zone")
        return cls(parsed, UUID(complaint_id))
