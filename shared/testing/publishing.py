"""Publishes events as the services' relays would, for readers under test."""

from collections import Counter
from collections.abc import Iterable, Sequence

from confluent_kafka import Producer

from shared.contracts.envelope import AnyEvent
from shared.contracts.topics import DELIVERIES, LIFECYCLE, SUBMITTED, Topic
from shared.messaging.codec import Outgoing, Record, encode

_TOPICS = (SUBMITTED, LIFECYCLE, DELIVERIES)


def topic_of(event: AnyEvent) -> Topic:
    """The topic an event of a history belongs to."""
    return next(topic for topic in _TOPICS if isinstance(event.data, topic.events))


def sequenced(events: Iterable[AnyEvent]) -> list[Record]:
    """The records of events, with offsets and sequences by partition, as on topics that are empty before."""
    places: Counter[tuple[str, int]] = Counter()
    found = []
    for event in events:
        record: Outgoing = encode(topic_of(event), event)
        offset = places[record.topic, record.partition]
        places[record.topic, record.partition] += 1
        headers = (*record.headers, ("ce_sequence", str(offset + 1).encode()))
        found.append(Record(record.topic, record.partition, offset, record.key, headers, record.value))
    return found


def publish(bootstrap_servers: str, records: Sequence[Record]) -> None:
    """Writes the records to their partitions, in order."""
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "linger.ms": 20, "queue.buffering.max.messages": 10**6}
    )
    for record in records:
        producer.produce(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
        producer.poll(0)
    assert producer.flush(60) == 0
