"""The read model built anew from a real Kafka is the live one, row for row, and the tracker goes on from it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from random import Random

import pytest

from deploy.commands.tracker import compare_model, rebuild_model
from deploy.local.kafka import EmbeddedKafka
from deploy.provisioning import create_topics
from services.tracker.handlers import project
from services.tracker.store.bulk import PROJECTED
from shared.contracts.topics import DELIVERIES, INTERNAL_PARTITIONS, LIFECYCLE, SUBMITTED
from shared.database.pool import Database
from shared.messaging.codec import Record
from shared.messaging.inbox import Inbox, PositionWentBack
from shared.messaging.outbox import Outbox
from shared.messaging.positions import Partition
from shared.testing.builders import NOON
from shared.testing.histories import histories
from shared.testing.publishing import publish, sequenced
from shared.testing.stores import Stores, trusted_database

TOPICS = (SUBMITTED, LIFECYCLE, DELIVERIES)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """150 complaints whose events come in any order, across topics and within them."""
    events = [event for one in histories(150, 11, NOON, days=200) for event in one.events()]
    Random(5).shuffle(events)
    return sequenced(events)


@pytest.fixture(scope="module")
def kafka(records: list[Record]) -> Iterator[str]:
    """The bootstrap servers of a Kafka that holds these records and no others."""
    with EmbeddedKafka() as running:
        create_topics(running.bootstrap_servers, TOPICS)
        publish(running.bootstrap_servers, records)
        yield running.bootstrap_servers


@pytest.fixture
def url(stores: Stores) -> str:
    return stores.database("tracker")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    found = await trusted_database(url)
    yield found
    await found.close()


async def fed(database: Database, records: Sequence[Record], at_once: int = 37) -> dict[Partition, int]:
    """Projects records in batches, as the running tracker does; the next offsets."""
    events = tuple(event for topic in TOPICS for event in topic.events)
    inbox = Inbox("tracker", "tracker", Outbox(database), project, events)
    expected = await inbox.register({(t.name, number): 0 for t in TOPICS for number in range(INTERNAL_PARTITIONS)})
    for start in range(0, len(records), at_once):
        batch = defaultdict(list)
        for record in records[start : start + at_once]:
            batch[record.topic, record.partition].append(record)
        expected |= await inbox.commit(batch, {partition: expected[partition] for partition in batch})
    return expected


async def test_a_rebuild_gives_the_same_rows_and_mends_what_is_wrong(
    kafka: str, records: list[Record], url: str, database: Database
) -> None:
    await fed(database, records)
    assert await compare_model(kafka, url) == dict.fromkeys(PROJECTED, 0)

    await database.fetch("UPDATE complaints SET status = 'forwarded' WHERE status = 'answered'")
    await database.fetch("DELETE FROM timeline WHERE change = 'opened'")
    wrong = await compare_model(kafka, url)
    assert wrong["complaints"] > 0
    assert wrong["timeline"] == 150
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
    before = await database.fetch(indexes)
    assert await rebuild_model(kafka, url) == len(records)
    assert await compare_model(kafka, url) == dict.fromkeys(PROJECTED, 0)
    assert await database.fetch(indexes) == before
    assert not await database.fetch("SELECT FROM pg_namespace WHERE nspname = 'replaced'")


async def test_the_tracker_goes_on_after_a_rebuild(
    kafka: str, records: list[Record], url: str, database: Database
) -> None:
    behind = await fed(database, records[: len(records) // 2])
    await rebuild_model(kafka, url)
    rows = await database.fetch("SELECT * FROM complaints ORDER BY complaint_id")
    ahead = await fed(database, [])
    assert sum(ahead.values()) == len(records) > sum(behind.values())
    inbox = Inbox("tracker", "tracker", Outbox(database), project, tuple(e for topic in TOPICS for e in topic.events))
    again = [record for record in records if (record.topic, record.partition) == (LIFECYCLE.name, 0)]
    await inbox.commit({(LIFECYCLE.name, 0): again}, {(LIFECYCLE.name, 0): 0})
    assert await database.fetch("SELECT * FROM complaints ORDER BY complaint_id") == rows
    with pytest.raises(PositionWentBack):
        await inbox.commit({(LIFECYCLE.name, 0): []}, {(LIFECYCLE.name, 0): ahead[LIFECYCLE.name, 0] + 1})
