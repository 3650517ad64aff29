"""Replies of administrations over HTTP, applied by the same handler as those from Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from services.dispatcher.handlers import ApplyReplies
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import AdministrationReplied, ReplyRejected
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, Record, decode_external
from shared.messaging.outbox import Outbox, known_events


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, known by the same id as the same record in the outbox topic would be."""

    event: Event[AdministrationReplied]

    @classmethod
    def read(cls, record: Record) -> "Reply":
        """Raises InvalidRecord."""
        return cls(decode_external(record, (AdministrationReplied,)))


@dataclass(frozen=True, slots=True)
class ReplyOutcome:
    """`reason` is None for a reply that was applied."""

    reason: str | None = None
    detail: str = ""


_REFUSED_BEFORE = ReplyOutcome("refused-before", "it was refused before; the reason is in the topic of rejections")


class AcceptReplies:
    """Applies replies in one transaction; one handled before, here or from Kafka, is answered without doing it again.

    Two of one case or one id may be in a group: they are applied one after the other.
    """

    def __init__(self, outbox: Outbox, apply: ApplyReplies) -> None:
        self._outbox = outbox
        self._apply = apply

    async def __call__(self, replies: Sequence[Reply]) -> Sequence[ReplyOutcome]:
        async def work(connection: Connection) -> tuple[list[ReplyOutcome], list[Outgoing]]:
            outputs = [derived_id(reply.event.id, step) for reply in replies for step in ("apply", "reject")]
            known = await known_events(connection, outputs)
            outgoing: list[Outgoing] = []
            done: dict[UUID, ReplyOutcome] = {}
            for event in {reply.event.id: reply.event for reply in replies}.values():
                done[event.id] = await self._one(connection, event, known, outgoing)
            return [done[reply.event.id] for reply in replies], outgoing

        return await self._outbox.commit(work, patience=5.0)

    async def _one(
        self, connection: Connection, event: Event[AdministrationReplied], known: set[UUID], outgoing: list[Outgoing]
    ) -> ReplyOutcome:
        applied = derived_id(event.id, "apply")
        if applied in known:
            return ReplyOutcome()
        if derived_id(event.id, "reject") in known:
            return _REFUSED_BEFORE
        records = await self._apply(connection, [event])
        outcome = _outcome(records)
        # While the case's lock was waited for, the same reply may have been applied from Kafka.
        if outcome.reason is not None and await known_events(connection, [applied]):
            return ReplyOutcome()
        outgoing += records
        return outcome


def _outcome(records: Sequence[Outgoing]) -> ReplyOutcome:
    for record in records:
        if dict(record.headers).get("ce_type") == ReplyRejected.TYPE.encode():
            refused = orjson.loads(record.value)
            return ReplyOutcome(refused["reason"], refused["detail"])
    return ReplyOutcome()
