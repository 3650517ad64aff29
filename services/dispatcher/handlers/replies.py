"""Inputs from outside: what administrations say of their assignments. Hostile until checked."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid5

from services.dispatcher import store
from services.dispatcher.domain.case import SOURCE
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.replies import Refused, apply_reply
from services.dispatcher.handlers import records
from services.dispatcher.store import StoredCase
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import AdministrationReplied, CaseChanged, ReplyRejected
from shared.contracts.lifecycle import Change
from shared.contracts.topics import LIFECYCLE, administration_of, administration_rejected
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, Record, encode
from shared.runtime.clock import Clock


class SubmissionNotReadYet(Exception):
    """After a restore a case has no submission until it is read again: the record is held and tried again."""


class ApplyReplies:
    """Handles what administrations say; whatever is wrong with it goes back to them and stops nobody."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        replies: Sequence[Event[AdministrationReplied]] = events
        known = await store.assigned(connection, [event.data.assignment_id for event in replies])
        cases = await store.lock(connection, [complaint_id for complaint_id, _ in known.values()])
        messages = [(administration_of(e.source), e.external_id or "", e.id) for e in replies]
        registered = await store.register_messages(connection, messages)
        outgoing = []
        for event, (code, external_id, _) in zip(replies, messages, strict=True):
            complaint_id, holder = known.get(event.data.assignment_id, (None, None))
            result: CaseChanged | Refused
            if registered[code, external_id] != event.id:
                result = Refused("repeated-id", "this ce_id was used for another message")
            elif complaint_id is None or holder != code:
                result = Refused("unknown-assignment", "no assignment of yours has this id")
            else:
                result = apply_reply(cases[complaint_id].state, event.data, self._clock.now())
            outgoing += self._outcome(event, code, result, cases)
        await store.save(connection, cases, self._policy)
        return outgoing

    def _outcome(
        self,
        event: Event[AdministrationReplied],
        code: str,
        result: CaseChanged | Refused,
        cases: dict[UUID, StoredCase],
    ) -> list[Outgoing]:
        now = self._clock.now()
        if isinstance(result, Refused):
            data = ReplyRejected(
                administration=code,
                origin=event.source,
                reply_id=event.external_id,
                reason=result.reason,
                detail=result.detail,
            )
            return [encode(administration_rejected(code), event.derive("reject", SOURCE, now, data))]
        case = cases[result.complaint_id]
        case.state = result
        about = replace(event, subject=result.complaint_id)
        outgoing = [encode(LIFECYCLE, about.derive("apply", SOURCE, now, result))]
        if result.change is Change.RETURNED:
            if case.submitted is None:
                raise SubmissionNotReadYet(f"the submission of {result.complaint_id} is still to be read again")
            outgoing.append(records.request_triage(case, now))
        return outgoing


class RefuseUnreadable:
    """Tells an administration that a record of its outbox could not be read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, record: Record, reason: str) -> Outgoing:
        code = administration_of(record.topic)
        event_id = uuid5(NAMESPACE_URL, record.origin)
        external_id = dict(record.headers).get("ce_id", b"").decode(errors="replace").replace("\x00", "")[:255] or None
        data = ReplyRejected(
            administration=code, origin=record.origin, reply_id=external_id, reason="unreadable", detail=reason[:1000]
        )
        event = Event(event_id, SOURCE, event_id, self._clock.now(), causation_id=event_id, data=data)
        return encode(administration_rejected(code), event)
