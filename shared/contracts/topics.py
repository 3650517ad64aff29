"""Every Kafka topic of Chikaya, declared once: name, writer, event types, partitions, retention.

Partition counts are fixed while a topic is in use: the key's partition is computed when an event is written
to the journal, and order per complaint depends on it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

from shared.contracts.envelope import EventData
from shared.contracts.events import (
    ActionRefused,
    AdministrationChanged,
    AdministrationReplied,
    AssignmentForwarded,
    AssignmentNotice,
    CaseChanged,
    CitizenActed,
    ComplaintClassified,
    ComplaintSubmitted,
    NotificationRecorded,
    ReplyRejected,
    TriageRequested,
)

MAXIMUM_RECORD = 1_048_576 - 4_096
"""Bytes of key, value and headers: Kafka's default limit of a batch, less room for its own framing."""

INTERNAL_PARTITIONS = 6


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention` None means kept for ever. Records are keyed by complaint id.

    `writer` is a service's name, or None for a topic written from outside, which carries no sequences.
    """

    name: str
    writer: str | None
    events: tuple[type[EventData], ...]
    partitions: int
    retention: timedelta | None = None
    maximum_record: int = MAXIMUM_RECORD

    def partition_of(self, key: bytes) -> int:
        """CRC-32 of the key, as librdkafka's default partitioner does."""
        return crc32(key) % self.partitions


SUBMITTED = Topic("complaints.submitted", "intake", (ComplaintSubmitted,), INTERNAL_PARTITIONS)
CITIZEN_ACTIONS = Topic("complaints.citizen-actions", "intake", (CitizenActed,), INTERNAL_PARTITIONS)
CLASSIFIED = Topic("complaints.classified", "classifier", (ComplaintClassified,), INTERNAL_PARTITIONS)
LIFECYCLE = Topic("complaints.lifecycle", "dispatcher", (CaseChanged, ActionRefused), INTERNAL_PARTITIONS)
DELIVERIES = Topic("notifications.deliveries", "notifier", (NotificationRecorded,), INTERNAL_PARTITIONS)
TRIAGE_REQUESTS = Topic("complaints.triage-requests", "dispatcher", (TriageRequested,), INTERNAL_PARTITIONS)

INTERNAL: tuple[Topic, ...] = (SUBMITTED, CITIZEN_ACTIONS, CLASSIFIED, TRIAGE_REQUESTS, LIFECYCLE, DELIVERIES)

_CODE = re.compile(r"^[a-z][a-z0-9-]{1,62}$")
_ADMINISTRATION_TOPIC = re.compile(r"^administrations\.([a-z][a-z0-9-]{1,62})\.(inbox|outbox|rejected)$")

OUTBOX_PATTERN = r"^administrations\.[a-z][a-z0-9-]{1,62}\.outbox$"
"""The outboxes of all administrations, present and to come."""


def administration_inbox(code: str) -> Topic:
    """What an administration has to answer. One partition: an administration sees its complaints in order."""
    return _administration_topic(
        code, "inbox", "dispatcher", (AssignmentForwarded, AssignmentNotice, AdministrationChanged)
    )


def administration_outbox(code: str) -> Topic:
    """What an administration says. Written from outside."""
    return _administration_topic(code, "outbox", None, (AdministrationReplied,))


def administration_rejected(code: str) -> Topic:
    """What an administration said and Chikaya refused, with the reason."""
    return _administration_topic(code, "rejected", "dispatcher", (ReplyRejected,))


def dead_letters(service: str) -> Topic:
    """Copies of the records a service could not read, for tools; the originals are rows of its database."""
    return Topic(f"{service}.dlq", service, (), 1, timedelta(days=90), 2 * MAXIMUM_RECORD)


def administration_of(topic: str) -> str:
    """The code in the name of an administration's topic. Raises ValueError for another topic."""
    match = _ADMINISTRATION_TOPIC.match(topic)
    if match is None:
        raise ValueError(f"{topic} is not a topic of an administration")
    return match[1]


def _administration_topic(code: str, side: str, writer: str | None, events: tuple[type[EventData], ...]) -> Topic:
    if not _CODE.match(code):
        raise ValueError(f"{code!r} is not an administration code (lower case letters, digits, dashes)")
    return Topic(f"administrations.{code}.{side}", writer, events, 1, timedelta(days=90))


def topic_named(name: str) -> Topic:
    """The declaration of a topic. Raises ValueError for a name nobody declared."""
    for topic in INTERNAL:
        if topic.name == name:
            return topic
    if name.endswith(".dlq"):
        return dead_letters(name.removesuffix(".dlq"))
    code = administration_of(name)
    sides = (administration_inbox(code), administration_outbox(code), administration_rejected(code))
    return next(topic for topic in sides if topic.name == name)


def written_by(service: str, existing: Iterable[str]) -> list[Topic]:
    """The topics among `existing` (names on a broker) that a service writes."""
    declared = (_declared(name) for name in existing)
    return [topic for topic in declared if topic is not None and topic.writer == service]


def _declared(name: str) -> Topic | None:
    try:
        return topic_named(name)
    except ValueError:
        return None
