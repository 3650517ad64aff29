"""Filings in, stored submissions and events out: many requests, one commit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake import attachment_store, store
from services.intake.attachment_store import Attached
from services.intake.domain.actions import Action
from services.intake.domain.filing import REPEAT_WINDOW, Submission
from services.intake.store import Stored
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import CitizenActed, ComplaintSubmitted
from shared.contracts.topics import CITIZEN_ACTIONS, SUBMITTED
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is stored under the key, whether this filing is the one (`same_content`), and whether an earlier one was.

    `repeated` tells a receipt that was given before.
    """

    stored: Stored | None
    same_content: bool = True
    repeated: bool = False


class AcceptSubmissions:
    """Commits a group of submissions. The answer for a taken reference has no `stored`: file it with another."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, submissions: Sequence[Submission]) -> Sequence[Outcome]:
        async def work(connection: Connection) -> tuple[list[Outcome], list[Outgoing]]:
            earlier = await _earlier(connection, submissions)
            new = await store.insert(connection, [s for s in submissions if s.earlier_key not in earlier])
            await attachment_store.attach(connection, _attached(s.event for s in submissions if s.event.id in new))
            stored = earlier | await store.by_key(connection, [submission.key for submission in submissions])
            outcomes = [_outcome(submission, stored) for submission in submissions]
            return outcomes, [encode(SUBMITTED, s.event) for s in submissions if s.event.id in new]

        return await self._outbox.commit(work, patience=_PATIENCE_SECONDS)


async def _earlier(connection: Connection, submissions: Sequence[Submission]) -> dict[UUID, Stored]:
    """What the senders without a key filed minutes ago, by `earlier_key`."""
    since = {s.earlier_key: s.event.time - REPEAT_WINDOW for s in submissions if s.earlier_key is not None}
    found = await store.by_key(connection, list(since)) if since else {}
    return {key: stored for key, stored in found.items() if stored.received_at > since[key]}


def _outcome(submission: Submission, stored: Mapping[UUID, Stored]) -> Outcome:
    found = stored.get(submission.earlier_key or submission.key) or stored.get(submission.key)
    if found is None:
        return Outcome(None)
    return Outcome(found, found.digest == submission.digest, found.complaint_id != submission.event.subject)


class AcceptActions:
    """Commits a group of citizens' actions; whether each is the one stored under its key."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, actions: Sequence[Action]) -> Sequence[bool]:
        async def work(connection: Connection) -> tuple[list[bool], list[Outgoing]]:
            new, digests = await store.insert_actions(connection, actions)
            events = {action.event.id: action.event for action in reversed(actions) if action.event.id in new}
            await attachment_store.attach(connection, _attached(events.values()))
            accepted = [digests[action.event.id] == action.digest for action in actions]
            return accepted, [encode(CITIZEN_ACTIONS, event) for event in events.values()]

        return await self._outbox.commit(work, patience=_PATIENCE_SECONDS)


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Rebuilds submissions, attachments and actions from their own events."""
    await store.restore(connection, [event for event in events if isinstance(event.data, ComplaintSubmitted)])
    await attachment_store.attach(connection, _attached(events))
    await store.restore_actions(connection, [event for event in events if isinstance(event.data, CitizenActed)])
    return ()


def _attached(events: Iterable[AnyEvent]) -> list[Attached]:
    return [Attached(event.subject, attachment) for event in events for attachment in event.data.attachments]
