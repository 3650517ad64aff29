"""The records that follow from a case's state. Their ids are made from what they are about, never from when."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.dispatcher import store
from services.dispatcher.domain.case import SOURCE, forwarded, noticed, triage_request
from services.dispatcher.store import Message, StoredCase
from shared.contracts.envelope import Event, derived_id
from shared.contracts.events import AssignmentState, Notice
from shared.contracts.lifecycle import AssignmentStatus
from shared.contracts.topics import TRIAGE_REQUESTS, administration_inbox
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import known_events


async def forward(connection: Connection, cases: Sequence[StoredCase], now: datetime) -> list[Outgoing]:
    """The inbox records of assignments just forwarded, with what their citizens wrote."""
    written = await store.messages_of(connection, [case.state.complaint_id for case in cases]) if cases else {}
    return [record for case in cases for record in forwards(case, written.get(case.state.complaint_id, ()), now)]


def forwards(case: StoredCase, written: Sequence[Message], now: datetime) -> list[Outgoing]:
    """The inbox records of a case's assignments just forwarded: the complaint, then what the citizen wrote since."""
    outgoing = []
    for assignment in case.state.assignments:
        if assignment.status is AssignmentStatus.FORWARDED:
            outgoing.append(_complaint(case, assignment, now))
            outgoing += [citizen_notice(case, assignment, message) for message in written]
    return outgoing


def _complaint(case: StoredCase, assignment: AssignmentState, now: datetime) -> Outgoing:
    assert case.submitted is not None
    cause = assignment.assignment_id
    data = forwarded(case.state, assignment, case.submitted)
    event = Event(derived_id(cause, "forward"), SOURCE, case.state.complaint_id, now, causation_id=cause, data=data)
    return encode(administration_inbox(assignment.administration), event)


def citizen_notice(case: StoredCase, assignment: AssignmentState, message: Message) -> Outgoing:
    """Tells the holder of an assignment what the citizen wrote."""
    data = noticed(case.state, assignment, message.notice, message.acted_at, message.personal)
    event_id = derived_id(assignment.assignment_id, f"{message.notice}-{message.action_id}")
    event = Event(
        event_id, SOURCE, case.state.complaint_id, message.acted_at, causation_id=message.action_id, data=data
    )
    return encode(administration_inbox(assignment.administration), event)


def timer_notices(case: StoredCase, notice: Notice, cause: UUID, now: datetime) -> list[Outgoing]:
    """Tells the holders of a case of a deadline."""
    outgoing = []
    for assignment in case.state.assignments:
        data = noticed(case.state, assignment, notice, now)
        event_id = derived_id(cause, f"notice-{assignment.assignment_id}")
        event = Event(event_id, SOURCE, case.state.complaint_id, now, causation_id=cause, data=data)
        outgoing.append(encode(administration_inbox(assignment.administration), event))
    return outgoing


def request_triage(case: StoredCase, now: datetime) -> Outgoing:
    """Asks for a new classification of a case that came back; the id is made from complaint and round."""
    assert case.submitted is not None
    complaint_id, cause = case.state.complaint_id, derived_id(case.state.complaint_id, f"return-{case.state.hops}")
    data = triage_request(case.state, case.submitted)
    event = Event(derived_id(cause, "request-triage"), SOURCE, complaint_id, now, cause, data)
    return encode(TRIAGE_REQUESTS, event)


async def say_again(connection: Connection, cases: Sequence[StoredCase], now: datetime) -> list[Outgoing]:
    """What belongs to the states of restored cases and the journal does not know; readers drop repeats."""
    returned = [case for case in cases if case.state.in_triage and case.state.hops > 0]
    outgoing = [request_triage(case, now) for case in returned]
    outgoing += await forward(connection, [case for case in cases if not case.state.in_triage], now)
    return await unsaid(connection, outgoing)


async def unsaid(connection: Connection, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """Those of the records that the journal does not know."""
    known = await known_events(connection, [record.event_id for record in outgoing if record.event_id is not None])
    return [record for record in outgoing if record.event_id not in known]
