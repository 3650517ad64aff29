"""Inputs of the dispatcher: submissions and classifications from inside, replies of administrations from outside."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from services.dispatcher import registry_store, store
from services.dispatcher.domain.case import (
    SOURCE,
    Refused,
    apply_reply,
    assign,
    fire,
    forwarded,
    may_assign,
    open_case,
    triage_request,
)
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.store import StoredCase
from shared.contracts.envelope import AnyEvent, Event, derived_id
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
from shared.messaging.outbox import Outbox
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat

_TIMERS_AT_ONCE = 200
_LOOK_EVERY_SECONDS = 1.0


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
        outgoing = self._open(submitted, cases)
        if submitted:
            classified += await store.take_pending(connection, [event.subject for event in submitted])
        ready = [event for event in classified if event.subject in cases and cases[event.subject].submitted is not None]
        early = [event for event in classified if event not in ready]
        if early:
            await store.put_pending(connection, early)
        if ready:
            outgoing += self._assign(ready, cases, await registry_store.holders(connection))
        await store.save(connection, cases, self._policy)
        return outgoing

    def _open(self, submitted: Sequence[Event[ComplaintSubmitted]], cases: dict[UUID, StoredCase]) -> list[Outgoing]:
        outgoing: list[Outgoing] = []
        for event in submitted:
            case = cases.get(event.subject)
            if case is not None:
                if case.submitted is None:
                    case.submitted = event.data
                    outgoing += say_again(case, self._clock.now())
                continue
            state = open_case(event.data, self._policy)
            cases[event.subject] = StoredCase(state, event.data)
            outgoing.append(encode(LIFECYCLE, event.derive("open", SOURCE, self._clock.now(), state)))
        return outgoing

    def _assign(
        self,
        classified: Sequence[Event[ComplaintClassified]],
        cases: dict[UUID, StoredCase],
        holders: Mapping[str, str],
    ) -> list[Outgoing]:
        outgoing = []
        onboarded = {code for code, holder in holders.items() if code == holder}
        for event in sorted(classified, key=lambda event: event.time):
            case = cases[event.subject]
            if case.submitted is None or not may_assign(case.state, event.data):
                continue
            now = self._clock.now()
            case.state = assign(case.state, event, case.submitted.place, onboarded, now)
            outgoing.append(encode(LIFECYCLE, event.derive("assign", SOURCE, now, case.state)))
            outgoing += _forward(case, now)
        return outgoing


def _forward(case: StoredCase, now: datetime) -> list[Outgoing]:
    """The inbox records of a case's assignments; their ids are made from the assignments'."""
    assert case.submitted is not None
    outgoing = []
    for assignment in case.state.assignments:
        if assignment.status is AssignmentStatus.FORWARDED:
            data = forwarded(case.state, assignment, case.submitted)
            cause = assignment.assignment_id
            event = Event(derived_id(cause, "forward"), SOURCE, case.state.complaint_id, now, cause, data)
            outgoing.append(encode(administration_inbox(assignment.administration), event))
    return outgoing


def _request_triage(case: StoredCase, now: datetime) -> Outgoing:
    """Asks for a new classification of a case that came back; the id is made from complaint and round."""
    assert case.submitted is not None
    complaint_id, cause = case.state.complaint_id, derived_id(case.state.complaint_id, f"return-{case.state.hops}")
    data = triage_request(case.state, case.submitted)
    event = Event(derived_id(cause, "request-triage"), SOURCE, complaint_id, now, cause, data)
    return encode(TRIAGE_REQUESTS, event)


def say_again(case: StoredCase, now: datetime) -> list[Outgoing]:
    """What belongs to the state of a restored case and may have been lost with the database; readers drop repeats."""
    if case.state.in_triage and case.state.hops > 0:
        return [_request_triage(case, now)]
    return _forward(case, now)


class FireTimers:
    """Fires the timers of cases when they are due. Run as a task."""

    def __init__(self, outbox: Outbox, policy: Policy, clock: Clock) -> None:
        self._outbox = outbox
        self._policy = policy
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every second until `stopping` is set."""

        async def look() -> bool:
            return await self.fire_due() == _TIMERS_AT_ONCE

        await repeat(look, _LOOK_EVERY_SECONDS, stopping)

    async def fire_due(self) -> int:
        """Fires the next timer of the cases that are longest due; how many cases."""

        async def work(connection: Connection) -> tuple[int, list[Outgoing]]:
            now = self._clock.now()
            cases = await store.lock_due(connection, now, _TIMERS_AT_ONCE)
            holders = await registry_store.holders(connection) if cases else {}
            outgoing: list[Outgoing] = []
            for case in cases.values():
                outgoing += self._fire(case, holders, now)
            await store.save(connection, cases, self._policy)
            return len(cases), outgoing

        return await self._outbox.commit(work)

    def _fire(self, case: StoredCase, holders: Mapping[str, str], now: datetime) -> list[Outgoing]:
        timer = self._policy.timers(case.state)[0]
        if case.submitted is None:
            return []
        case.state = fire(case.state, timer, holders, self._policy.suggestion_floor, now)
        cause = derived_id(case.state.complaint_id, f"timer-{timer.name}")
        event = Event(cause, SOURCE, case.state.complaint_id, now, causation_id=cause, data=case.state)
        forwards = case.state.change is Change.FORWARDED
        return [encode(LIFECYCLE, event), *(_forward(case, now) if forwards else [])]


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
            outgoing.append(_request_triage(case, now))
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


class RestoreCases:
    """Rebuilds cases from the lifecycle; each complaint keeps its highest version."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        newest: dict[UUID, StoredCase] = {}
        for event in events:
            if isinstance(event.data, CaseChanged):
                before = newest.get(event.subject)
                if before is None or before.state.version < event.data.version:
                    newest[event.subject] = StoredCase(event.data, None)
        await store.save(connection, newest, self._policy)
        restored = (await store.lock(connection, newest)).values()
        known = (case for case in restored if case.submitted is not None)
        return [record for case in known for record in say_again(case, self._clock.now())]
