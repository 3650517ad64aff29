"""Filings in, stored submissions and events out: many requests, one commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.intake import store
from services.intake.domain import Submission
from services.intake.store import Stored
from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import SUBMITTED
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is stored under the key, and whether this filing is the one (`same_content`)."""

    stored: Stored | None
    same_content: bool = True


class AcceptSubmissions:
    """Commits a group of submissions. The answer for a taken reference has no `stored`: file it with another."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, submissions: Sequence[Submission]) -> Sequence[Outcome]:
        async def work(connection: Connection) -> tuple[list[Outcome], list[Outgoing]]:
            new = await store.insert(connection, submissions)
            stored = await store.by_key(connection, [submission.key for submission in submissions])
            outcomes = [_outcome(submission, stored.get(submission.key)) for submission in submissions]
            return outcomes, [encode(SUBMITTED, s.event) for s in submissions if s.event.id in new]

        return await self._outbox.commit(work, patience=_PATIENCE_SECONDS)


def _outcome(submission: Submission, stored: Stored | None) -> Outcome:
    if stored is None:
        return Outcome(None)
    return Outcome(stored, same_content=stored.digest == submission.digest)


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Rebuilds submissions from their own events."""
    await store.restore(connection, events)
    return ()
