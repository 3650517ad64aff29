"""Inputs of the dispatcher: submissions and classifications from inside, replies of administrations from outside."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid5

from services.dispatcher import store
from services.dispatcher.domain import (
    SOURCE,
    Policy,
    Refused,
    apply_reply,
    assign,
    forwarded,
    may_assign,
    open_case,
    triage_request,
)
from services.dispatcher.store import StoredCase
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import (
    AdministrationReplied,
    CaseChanged,
    ComplaintClassified,
    ComplaintSubmitted,
    ReplyRejected,
)
from shared.contracts.lifecycle import AssignmentStatus, Change
from shared.contracts.topics import (
    LIFECYCLE,
    TRIAGE_REQUESTS,
    administration_inbox,
    administration_of,
    administration_rejected,
)
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, Record, encode
from shared.runtime.clock import Clock


class SubmissionNotReadYet(Exception):
    """After a restore a case has no submission until it is read again: the record is held and tried again."""


class AdvanceCases:
    """Handles `complaints.submitted` and `complaints.classified`, in any order of the two."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        submitted = [event for event in events if isinstance(event.data, ComplaintSubmitted)]
        classified = [event for event in events if isinstance(event.data, ComplaintClassified)]
        cases = await store.lock(connection, [event.subject for event in events])
        outgoing = [encode(LIFECYCLE, event) for event in self._open(submitted, cases)]
        if submitted:
            classified += await store.take_pending(connection, [event.subject for event in submitted])
        ready = [event for event in classified if event.subject in cases and cases[event.subject].submitted is not None]
        early = [event for event in classified if event not in ready]
        if early:
            await store.put_pending(connection, early)
        if ready:
            outgoing += self._assign(ready, cases, await store.onboarded(connection))
        await store.save(connection, cases)
        return outgoing

    def _open(
        self, submitted: Sequence[Event[ComplaintSubmitted]], cases: dict[UUID, StoredCase]
    ) -> list[Event[CaseChanged]]:
        opened = []
        for event in submitted:
            if event.subject in cases:
                cases[event.subject].submitted = event.data
                continue
            state = open_case(event.data, self._policy)
            cases[event.subject] = StoredCase(state, event.data)
            opened.append(event.derive("open", SOURCE, self._clock.now(), state))
        return opened

    def _assign(
        self, classified: Sequence[Event[ComplaintClassified]], cases: dict[UUID, StoredCase], onboarded: set[str]
    ) -> list[Outgoing]:
        outgoing = []
        for event in sorted(classified, key=lambda event: event.time):
            case = cases[event.subject]
            if case.submitted is None or not may_assign(case.state, event.data):
                continue
            now = self._clock.now()
            case.state = assign(case.state, event, case.submitted.place, onboarded, now)
            outgoing.append(encode(LIFECYCLE, event.derive("assign", SOURCE, now, case.state)))
            for assignment in case.state.assignments:
                if assignment.status is AssignmentStatus.FORWARDED:
                    data = forwarded(case.state, assignment, case.submitted)
                    inbox = administration_inbox(assignment.administration)
                    outgoing.append(encode(inbox, event.derive("forward", SOURCE, now, data)))
        return outgoing


class ApplyReplies:
    """Handles what administrations say; whatever is wrong with it goes back to them and stops nobody."""

    def __init__(self, clock: Clock) -> None:
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
        await store.save(connection, cases)
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
            request = triage_request(result, case.submitted, event.data)
            outgoing.append(encode(TRIAGE_REQUESTS, about.derive("request-triage", SOURCE, now, request)))
        return outgoing


class RefuseUnreadable:
    """Tells an administration that a record of its outbox could not be read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, record: Record, reason: str) -> Outgoing:
        code = administration_of(record.topic)
        event_id = uuid5(NAMESPACE_URL, record.origin)
        external_id = dict(record.headers).get("ce_id", b"").decode(errors="replace")[:255] or None
        data = ReplyRejected(
            administration=code, origin=record.origin, reply_id=external_id, reason="unreadable", detail=reason[:1000]
        )
        event = Event(event_id, SOURCE, event_id, self._clock.now(), causation_id=event_id, data=data)
        return encode(administration_rejected(code), event)


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> None:
    """Rebuilds cases from the lifecycle; each complaint keeps its highest version."""
    newest: dict[UUID, StoredCase] = {}
    for event in events:
        if isinstance(event.data, CaseChanged):
            before = newest.get(event.subject)
            if before is None or before.state.version < event.data.version:
                newest[event.subject] = StoredCase(event.data, None)
    await store.save(connection, newest)
