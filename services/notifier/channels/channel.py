"""What every channel does."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import structlog

from services.notifier.domain.sending import Accepted, Outcome
from services.notifier.rendering import Rendered

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message on its way. `delivery_id` is the same at every attempt.

    `parts` are those the provider accepted, number → its id: a channel adds to them at once, and sends none twice.
    """

    delivery_id: UUID
    complaint_id: UUID
    template: str
    address: str
    rendered: Rendered
    parts: dict[int, str] = field(default_factory=dict)


class Channel(Protocol):
    """Hands messages to one provider."""

    @property
    def name(self) -> str:
        """The channel's name in rows and events."""
        ...

    async def send(self, outbound: Outbound) -> Outcome:
        """Says what the provider answered; whatever goes wrong with it is an outcome, never an exception.

        Many calls may be under way. A call may be cancelled at any time.
        """
        ...

    async def close(self) -> None:
        """Lets the provider go."""
        ...


class LogChannel:
    """Without a provider: says in the log what would be sent, never to whom."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def send(self, outbound: Outbound) -> Outcome:
        complaint_id = str(outbound.complaint_id)
        log.info("message_sent", channel=self.name, complaint_id=complaint_id, template=outbound.template)
        return Accepted()

    async def close(self) -> None:
        pass
