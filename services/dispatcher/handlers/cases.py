"""Inputs from inside: submissions, classifications and citizens' actions, in any order."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.dispatcher import registry_store, store
from services.dispatcher.domain.case import SOURCE, assign, may_assign, open_case
from services.dispatcher.domain.citizen import NOTICES, apply_action
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.directory import Directory
from services.dispatcher.domain.replies import Refused
from services.dispatcher.handlers import records
from services.dispatcher.store import Message, StoredCase
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import ActionRefused, CitizenActed, ComplaintClassified, ComplaintSubmitted
from shared.contracts.lifecycle import AssignmentStatus, CitizenAction
from shared.contracts.topics import LIFECYCLE
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import known_events
from shared.runtime.clock import Clock

Cases = dict[UUID, StoredCase]


class AdvanceCases:
    """Handles `complaints.submitted`, `complaints.classified` and `complaints.citizen-actions`."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        now = self._clock.now()
        submitted = [event for event in events if isinstance(event.data, ComplaintSubmitted)]
        later = [event for event in events if not isinstance(event.data, ComplaintSubmitted)]
        cases = await store.lock(connection, [event.subject for event in events])
        outgoing, found = self._open(submitted, cases, now)
        outgoing += await records.say_again(connection, found, now) if found else []
        if submitted:
            later += await store.take_pending(connection, [event.subject for event in submitted])
        ready: list[AnyEvent] = []
        early: list[AnyEvent] = []
        for event in later:
            case = cases.get(event.subject)
            (early if case is None or case.submitted is None else ready).append(event)
        if early:
            await store.put_pending(connection, early)
        if ready:
            outgoing += await self._advance(connection, sorted(ready, key=lambda event: event.time), cases, now)
        await store.save(connection, cases, self._policy)
        return outgoing

    def _open(
        self, submitted: Sequence[Event[ComplaintSubmitted]], cases: Cases, now: datetime
    ) -> tuple[list[Outgoing], list[StoredCase]]:
        """Opens cases; also those that were restored and find their submission again."""
        outgoing: list[Outgoing] = []
        found: list[StoredCase] = []
        for event in submitted:
            case = cases.get(event.subject)
            if case is None:
                state = open_case(event.data, self._policy)
                cases[event.subject] = StoredCase(state, event.data)
                outgoing.append(encode(LIFECYCLE, event.derive("open", SOURCE, now, state)))
            elif case.submitted is None:
                case.submitted = event.data
                found.append(case)
        return outgoing, found

    async def _advance(
        self, connection: Connection, ready: Sequence[AnyEvent], cases: Cases, now: datetime
    ) -> list[Outgoing]:
        directory = await registry_store.directory(connection)
        acted = [event for event in ready if isinstance(event.data, CitizenActed)]
        settled, outgoing = await self._settled(connection, acted, cases) if acted else (set(), [])
        written = await store.messages_of(connection, [event.subject for event in ready])
        for event in ready:
            if event.id in settled:
                continue
            case, messages = cases[event.subject], written.setdefault(event.subject, [])
            if isinstance(event.data, CitizenActed):
                outgoing += self._act(event, case, messages, directory, now)
            else:
                outgoing += self._assign(event, case, messages, directory, now)
        fresh = {event.id for event in acted} - settled
        added = [
            (key, message) for key, messages in written.items() for message in messages if message.action_id in fresh
        ]
        await store.put_messages(connection, added)
        return outgoing

    def _assign(
        self,
        event: Event[ComplaintClassified],
        case: StoredCase,
        written: Sequence[Message],
        directory: Directory,
        now: datetime,
    ) -> list[Outgoing]:
        if case.submitted is None or not may_assign(case.state, event.data):
            return []
        case.state = assign(case.state, event, case.submitted.place, directory, self._policy, now)
        lifecycle = encode(LIFECYCLE, event.derive("assign", SOURCE, now, case.state))
        return [lifecycle, *records.forwards(case, written, now)]

    async def _settled(
        self, connection: Connection, acted: Sequence[Event[CitizenActed]], cases: Cases
    ) -> tuple[set[UUID], list[Outgoing]]:
        """The actions applied or refused before, and of their notices what a restore took back."""
        applied = {derived_id(event.id, "act"): event for event in acted}
        refused = {derived_id(event.id, "refuse"): event for event in acted}
        known = await known_events(connection, [*applied, *refused])
        settled = {event.id for outputs in (applied, refused) for output, event in outputs.items() if output in known}
        again = [event for output, event in applied.items() if output in known and event.data.action in NOTICES]
        await store.put_messages(connection, [(event.subject, _message(event)) for event in again])
        notices = [notice for event in again for notice in _notices(cases[event.subject], _message(event))]
        return settled, await records.unsaid(connection, notices)

    def _act(
        self,
        event: Event[CitizenActed],
        case: StoredCase,
        written: list[Message],
        directory: Directory,
        now: datetime,
    ) -> list[Outgoing]:
        """Applies or refuses an action; adds what the citizen wrote to `written`."""
        result = apply_action(case.state, event.id, event.data, directory, self._policy, now)
        if isinstance(result, Refused):
            data = ActionRefused(
                action_id=event.id,
                complaint_id=event.subject,
                action=event.data.action,
                reason=result.reason,
                refused_at=now,
            )
            return [encode(LIFECYCLE, event.derive("refuse", SOURCE, now, data))]
        case.state = result
        lifecycle = encode(LIFECYCLE, event.derive("act", SOURCE, now, result))
        if event.data.action not in NOTICES:
            return [lifecycle]
        written.append(_message(event))
        if event.data.action is CitizenAction.REOPENING:
            return [lifecycle, *records.forwards(case, written, now)]
        return [lifecycle, *_notices(case, written[-1])]


def _message(event: Event[CitizenActed]) -> Message:
    """What the citizen wrote, for whoever has the case and whoever gets it later."""
    return Message(event.id, event.data.acted_at, NOTICES[event.data.action], event.data.personal)


def _notices(case: StoredCase, message: Message) -> list[Outgoing]:
    """Tells those who have the case."""
    holders = (a for a in case.state.assignments if a.status is not AssignmentStatus.PARKED)
    return [records.citizen_notice(case, assignment, message) for assignment in holders]
