"""The dispatcher's handlers on a real PostgreSQL: restores, and inputs in any order."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.dispatcher import registry_store
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases, RestoreCases
from shared.contracts.administrations import registry
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import CaseChanged
from shared.contracts.topics import LIFECYCLE
from shared.database.pool import Connection, Database
from shared.messaging.codec import Outgoing
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.testing.builders import NOON, classified_event, submitted_event
from shared.testing.stores import Stores, trusted_database

POLICY = Policy.load()
CLOCK = SystemClock()
INBOX = "administrations.sante.inbox"


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("dispatcher")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await trusted_database(url)
    await database.run(lambda connection: registry_store.seed(connection, registry().values()))
    yield database
    await database.close()


async def advance(database: Database, *events: AnyEvent) -> list[Outgoing]:
    """Handles the events in one transaction; what was said."""

    async def work(connection: Connection) -> tuple[list[Outgoing], list[Outgoing]]:
        said = list(await AdvanceCases(POLICY, CLOCK)(connection, events))
        return said, said

    return await Outbox(database).commit(work)


async def restore(database: Database, said: list[Outgoing]) -> list[Outgoing]:
    """Empties the tables, as a restore to before the case would, and rebuilds them from the lifecycle."""
    await database.fetch("TRUNCATE cases, assignments, pending_inputs, messages")
    states = [CaseChanged.model_validate_json(record.value) for record in said if record.topic == LIFECYCLE.name]
    ids = [record.event_id for record in said if record.topic == LIFECYCLE.name]
    await database.fetch("DELETE FROM journal_events WHERE NOT event_id = ANY($1::uuid[])", ids)
    events = [
        Event(event_id or UUID(int=0), "/chikaya/dispatcher", state.complaint_id, NOON, UUID(int=0), state)
        for event_id, state in zip(ids, states, strict=True)
    ]

    async def work(connection: Connection) -> list[Outgoing]:
        return list(await RestoreCases(POLICY, CLOCK)(connection, events))

    return await database.run(work)


async def test_the_inbox_record_that_was_not_relayed_is_said_again_after_a_restore(database: Database) -> None:
    submitted = submitted_event()
    said = await advance(database, submitted, classified_event(submitted))
    (forwarded,) = [record for record in said if record.topic == INBOX]
    assert await restore(database, said) == [], "the submission is not there yet"
    again = await advance(database, submitted)
    assert [(record.topic, record.event_id) for record in again] == [(INBOX, forwarded.event_id)]
    assert again[0].value == forwarded.value
    assert await advance(database, submitted, classified_event(submitted)) == [], "and only once"


async def test_a_restored_case_goes_on_with_what_it_had_not_seen(database: Database) -> None:
    submitted = submitted_event()
    opened = await advance(database, submitted)
    await restore(database, opened)
    assert await advance(database, classified_event(submitted)) == [], "it waits for the submission"
    topics = [record.topic for record in await advance(database, submitted)]
    assert topics == [LIFECYCLE.name, INBOX]


@pytest.mark.parametrize("restored", [False, True])
async def test_submission_and_classification_in_any_order(database: Database, restored: bool) -> None:
    submitted = submitted_event()
    late = classified_event(submitted)
    first = await advance(database, late)
    second = await advance(database, submitted)
    assert first == []
    assert [record.topic for record in second] == [LIFECYCLE.name, LIFECYCLE.name, INBOX]
    if restored:
        await restore(database, second[:2])
        assert [record.topic for record in await advance(database, late, submitted)] == [INBOX]
