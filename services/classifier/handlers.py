"""Submitted complaints in, classifications out."""

from collections.abc import Sequence

from services.classifier import store
from services.classifier.domain import Lexicon, classified_events
from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import CLASSIFIED
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode


class ClassifySubmitted:
    """Handles `complaints.submitted`."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        classified = classified_events(events, self._lexicon)
        await store.insert(connection, [event.data for event in classified])
        return [encode(CLASSIFIED, event) for event in classified]


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> None:
    """Rebuilds classifications from their own events."""
    await store.insert(connection, [event.data for event in events])
