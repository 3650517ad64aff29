"""The envelope of every event: the CloudEvents 1.0 attributes Chikaya uses, with the typed data inside."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Base of everything that crosses a service's border: frozen; a reader ignores fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Contract):
    """Base of the data of one event type; `TYPE` is its `ce_type`, version included."""

    TYPE: ClassVar[str]


D = TypeVar("D", bound=EventData)
N = TypeVar("N", bound=EventData)


@dataclass(frozen=True, slots=True)
class Event(Generic[D]):
    """One event, as handlers see it.

    `id` is stable: a derived event's id is uuid5(input id, step), so that handling an input again yields
    the same ids. `subject` is the complaint's id and the record's key. `causation_id` names what caused the
    event (the input's id, a timer's id, a digest of an HTTP idempotency key); a writer handles one causation
    once. `sequence` is the writer's outbox id: None before relaying and on events from outside, which carry
    none; those have `external_id`, their `ce_id` as sent, instead.
    """

    id: UUID
    source: str
    subject: UUID
    time: datetime
    causation_id: UUID
    data: D
    sequence: int | None = None
    traceparent: str | None = None
    external_id: str | None = None

    def derive(self, step: str, source: str, time: datetime, data: N) -> "Event[N]":
        """The event that follows from this one in the named step of `source`."""
        return Event(
            id=derived_id(self.id, step),
            source=source,
            subject=self.subject,
            time=time,
            causation_id=self.id,
            data=data,
            traceparent=self.traceparent,
        )


AnyEvent = Event[Any]


def derived_id(cause: UUID, step: str) -> UUID:
    """UUID version 5 (RFC 9562) in the namespace of the causing event."""
    return uuid5(cause, step)
