"""Administrations come on board, get new credentials and leave; their parked complaints are released.

Kafka's topics, principals and access rules are made by the provisioner, a program of its own, which asks here what
to do and reports what it did: this service reads hostile input and has no rights over the cluster.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from uuid import NAMESPACE_URL, UUID, uuid5

from services.dispatcher import registry_store, store
from services.dispatcher.domain.case import SOURCE
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.domain.onboarding import (
    Entry,
    Step,
    handed_over,
    parked_assignment,
    released,
    unfinished_assignment,
)
from services.dispatcher.handlers import records
from services.dispatcher.store import StoredCase
from shared.contracts.administrations import RESORTS, Administration, Onboarding
from shared.contracts.administrations import AdministrationState as State
from shared.contracts.envelope import AnyEvent, Event, derived_id
from shared.contracts.events import AdministrationChanged, AssignmentState
from shared.contracts.topics import LIFECYCLE, administration_inbox
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox
from shared.messaging.recovery import Restore
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat

PAGE = 500
"""Cases released or handed over in one transaction."""

Queued = tuple[UUID, UUID]
"""An assignment in an administration's queue, and its complaint."""

_LOOK_EVERY_SECONDS = 1.0
_WITH_TOPICS = (State.PROVISIONED, State.RELEASING, State.READY)


class UnknownAdministration(Exception):
    """The registry has no administration of this code."""


class StepRefused(Exception):
    """The administration is not in a state for this step; the message says what stands in its way."""


class Administrations:
    """The steps of administrations, each one transaction. `step` may be said again: it then changes nothing."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def ask(self, code: str, step: Step) -> Entry:
        """What operations want: `request`, `rotate` or `offboard`. Raises UnknownAdministration, StepRefused."""
        if step is Step.OFFBOARD and code in RESORTS:
            raise StepRefused(f"{code} takes over what nobody else can take: it cannot leave")

        async def work(connection: Connection) -> tuple[Entry, list[Outgoing]]:
            before, after = await self._moved(connection, code, step)
            await registry_store.move(connection, after)
            leaves = step is Step.OFFBOARD and before.state in _WITH_TOPICS
            return after, [_news(after, self._clock.now())] if leaves else []

        return await self._outbox.commit(work)

    async def report(
        self, code: str, step: Step, generation: int, token_hash: bytes | None
    ) -> tuple[Entry, UUID | None]:
        """What the provisioner did for a generation of credentials: `provisioned`, `probed` or `withdrawn`.

        Returns the entry and, after `provisioned`, the id of the record in the inbox which tells of it: the new
        principal must be able to read that one. Raises UnknownAdministration, StepRefused.
        """

        async def work(connection: Connection) -> tuple[tuple[Entry, UUID | None], list[Outgoing]]:
            before, after = await self._moved(connection, code, step)
            if generation != before.generation:
                raise StepRefused(f"generation {before.generation} is wanted, not {generation}")
            if step is Step.WITHDRAWN and await registry_store.unfinished(connection, code, 1):
                raise StepRefused("its unfinished complaints are still being handed over: report again later")
            if step is not Step.PROVISIONED:
                await registry_store.move(connection, after)
                return (after, None), []
            is_new = before.generation_in_place < generation
            after = after._replace(generation_in_place=generation, token_hash=token_hash)
            await registry_store.move(connection, after)
            return (after, _news_id(after)), [_news(after, self._clock.now())] if is_new else []

        return await self._outbox.commit(work)

    async def put(self, code: str, kind: str, parent: str, name_fr: str, name_ar: str) -> None:
        """Adds an administration to the registry, or corrects it; `parent` is known, or `code` itself."""
        body = Administration(code, kind, parent, name_fr, name_ar, Onboarding.PLANNED, ())

        async def work(connection: Connection) -> tuple[None, list[Outgoing]]:
            await registry_store.seed(connection, [body])
            return None, []

        await self._outbox.commit(work)

    async def _moved(self, connection: Connection, code: str, step: Step) -> tuple[Entry, Entry]:
        before = await registry_store.entry_alone(connection, code)
        if before is None:
            raise UnknownAdministration(code)
        after = before.after(step, self._clock.now())
        if after is None:
            raise StepRefused(f"{step} is not possible while {before.state}")
        return before, after


def _news_id(entry: Entry) -> UUID:
    leaving = "-off" if entry.state is State.OFFBOARDING else ""
    return uuid5(NAMESPACE_URL, f"chikaya:administrations/{entry.code}/{entry.generation}{leaving}")


def _news(entry: Entry, now: datetime) -> Outgoing:
    event_id = _news_id(entry)
    data = AdministrationChanged(administration=entry.code, state=entry.state, generation=entry.generation)
    event = Event(event_id, SOURCE, event_id, now, causation_id=event_id, data=data)
    return encode(administration_inbox(entry.code), event)


class MoveQueues:
    """Releases what is parked for administrations that came on board, and hands over the work of those that leave.

    In the order in which the complaints were received, a page a transaction. Run as a task.
    """

    def __init__(self, outbox: Outbox, policy: Policy, clock: Clock) -> None:
        self._outbox = outbox
        self._policy = policy
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every second until `stopping` is set."""
        await repeat(self.move_pages, _LOOK_EVERY_SECONDS, stopping)

    async def move_pages(self) -> bool:
        """Moves one page of each queue that has to move; whether there may be more."""

        async def look(connection: Connection) -> tuple[list[str], list[Outgoing]]:
            return await registry_store.to_move(connection), []

        more = False
        for code in await self._outbox.commit(look):

            async def work(connection: Connection, code: str = code) -> tuple[bool, list[Outgoing]]:
                return await self._move_page(connection, code)

            more |= await self._outbox.commit(work)
        return more

    async def _move_page(self, connection: Connection, code: str) -> tuple[bool, list[Outgoing]]:
        if not await registry_store.only_mover(connection, code):
            return False, []
        state = await registry_store.state_of(connection, code)
        if state is State.RELEASING:
            page = await registry_store.parked(connection, code, PAGE)
            if len(page) < PAGE:
                return await self._release_last(connection, code)
            return await self._advance(connection, page, await _locked(connection, page), leaving=False)
        if state in (State.OFFBOARDING, State.OFFBOARDED):
            page = await registry_store.unfinished(connection, code, PAGE)
            return await self._advance(connection, page, await _locked(connection, page), leaving=True)
        return False, []

    async def _release_last(self, connection: Connection, code: str) -> tuple[bool, list[Outgoing]]:
        """Alone with the registry, where nobody can park more: releases what is left, then calls the body ready.

        Cases have to be locked before the registry, so here only those that nobody holds are taken, up to the first
        that somebody does: the rest is for the next round.
        """
        entry = await registry_store.entry_alone(connection, code)
        ready = None if entry is None else entry.after(Step.RELEASED, self._clock.now())
        if ready is None:
            return False, []
        page = await registry_store.parked(connection, code, PAGE)
        cases = await store.lock(connection, [complaint_id for _, complaint_id in page], skip_locked=True)
        free = list(takewhile(lambda item: item[1] in cases, page))
        more, outgoing = await self._advance(connection, free, cases, leaving=False)
        if not await registry_store.parked(connection, code, 1):
            await registry_store.move(connection, ready)
        return more, outgoing

    async def _advance(
        self, connection: Connection, page: Sequence[Queued], cases: Mapping[UUID, StoredCase], *, leaving: bool
    ) -> tuple[bool, list[Outgoing]]:
        """Moves the assignments of a page that are still what the queue says; whether any moved or left the queue."""
        directory = await registry_store.directory(connection) if leaving else None
        find = unfinished_assignment if leaving else parked_assignment
        now = self._clock.now()
        outgoing: list[Outgoing] = []
        gone: list[UUID] = []
        moved: dict[UUID, StoredCase] = {}
        for assignment_id, complaint_id in page:
            case = cases.get(complaint_id)
            before = None if case is None else find(case.state, assignment_id)
            if case is None or before is None:
                gone.append(assignment_id)
                continue
            if case.submitted is None:
                continue
            if directory is not None:
                gone.append(assignment_id)
                case.state = handed_over(case.state, before, directory, now)
            else:
                case.state = released(case.state, before, now)
            moved[complaint_id] = case
            outgoing.append(_moved(case, before, now))
        outgoing += await records.forward(connection, list(moved.values()), now)
        await store.save(connection, moved, self._policy)
        await registry_store.leave_queue(connection, gone)
        return bool(moved or gone), outgoing


async def _locked(connection: Connection, page: Sequence[Queued]) -> dict[UUID, StoredCase]:
    return await store.lock(connection, [complaint_id for _, complaint_id in page])


def _moved(case: StoredCase, before: AssignmentState, now: datetime) -> Outgoing:
    """The case's new version; its id is made from the assignment's, as everywhere."""
    cause = before.assignment_id
    event = Event(derived_id(cause, "move"), SOURCE, case.state.complaint_id, now, causation_id=cause, data=case.state)
    return encode(LIFECYCLE, event)


class RestoreRegistry:
    """Rebuilds the states of administrations from what their inboxes were told, then what `others` restore."""

    def __init__(self, others: Restore) -> None:
        self._others = others

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        told = [event.data for event in events if isinstance(event.data, AdministrationChanged)]
        await registry_store.restore(connection, [(d.administration, d.state, d.generation) for d in told])
        return await self._others(connection, events)
