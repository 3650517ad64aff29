"""CloudEvents 1.0 on Kafka: events to records and back, binding of the binary content mode (spec section 3.2).

The raw headers are checked before anything else: a record without `ce_id` is invalid, never given an id.
From outside, the structured content mode (section 3.3) is understood too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid5

import orjson
from pydantic import ValidationError

from shared.contracts.envelope import AnyEvent, Event, EventData
from shared.contracts.topics import Topic

CONTENT_TYPE = "application/json; charset=utf-8"
_STRUCTURED = "application/cloudevents"
SCHEMAS = "https://chikaya.ma/schemas/"
_NUL = b"\\u0000"
_EXTERNAL = UUID("5e1d4c1a-5f0d-5f3b-9d63-6f1c6f6f0a11")
"""Namespace of the ids of events from outside, made from topic, `ce_id` and payload."""


class InvalidRecord(Exception):
    """A record is no event this reader accepts; the message says what is wrong with it."""


class RecordTooLarge(ValueError):
    """An event does not fit into one record of its topic."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as consumed."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None

    @property
    def origin(self) -> str:
        """topic/partition/offset."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to the outbox. `event_id` is None for copies of dead letters."""

    topic: str
    partition: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    event_id: UUID | None = None


def encode(topic: Topic, event: AnyEvent) -> Outgoing:
    """The record of an event, without its sequence, which the relay adds. Raises RecordTooLarge."""
    key = str(event.subject).encode()
    value = event.data.model_dump_json(exclude_none=True).encode()
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": str(event.id),
        "ce_source": event.source,
        "ce_type": event.data.TYPE,
        "ce_subject": str(event.subject),
        "ce_time": event.time.isoformat(),
        "ce_dataschema": f"{SCHEMAS}{event.data.TYPE}.json",
        "ce_causationid": str(event.causation_id),
        "content-type": CONTENT_TYPE,
    }
    if event.traceparent is not None:
        attributes["traceparent"] = event.traceparent
    headers = tuple((name, text.encode()) for name, text in attributes.items())
    outgoing = Outgoing(topic.name, topic.partition_of(key), key, headers, value, event.id)
    check_size(topic, outgoing)
    return outgoing


def check_size(topic: Topic, outgoing: Outgoing) -> None:
    """Raises RecordTooLarge when the record would not fit into its topic."""
    size = len(outgoing.key) + len(outgoing.value) + sum(len(n) + len(v) + 10 for n, v in outgoing.headers)
    if size > topic.maximum_record:
        raise RecordTooLarge(f"{size} bytes for {topic.name}, at most {topic.maximum_record} fit")


def sequence_of(record: Record) -> int:
    """The writer's sequence. Raises InvalidRecord when it is missing or no number."""
    raw = dict(record.headers).get("ce_sequence", b"")
    if not raw.isdigit():
        raise InvalidRecord("no ce_sequence header, which every internal event carries")
    return int(raw)


def decode(record: Record, accepted: Iterable[type[EventData]]) -> AnyEvent:
    """The event in an internal record. Raises InvalidRecord."""
    attributes = _binary_attributes(record)
    try:
        return Event(
            id=UUID(attributes["ce_id"]),
            source=attributes["ce_source"],
            subject=UUID(attributes["ce_subject"]),
            time=datetime.fromisoformat(attributes["ce_time"]),
            causation_id=UUID(attributes["ce_causationid"]),
            data=_data(accepted, attributes["ce_type"], record.value),
            sequence=sequence_of(record),
            traceparent=attributes.get("traceparent"),
        )
    except KeyError as missing:
        raise InvalidRecord(f"no {missing.args[0]} header") from None
    except ValueError as error:
        raise InvalidRecord(str(error)) from None


def decode_external(record: Record, accepted: Iterable[type[EventData]]) -> AnyEvent:
    """The event in a record from outside, in binary or structured mode. Raises InvalidRecord.

    Its id is made from topic, `ce_id` and payload, so that nobody outside can choose an id that is in use. Whatever
    goes wrong while reading it is the record's fault: it never harms the reader.
    """
    try:
        return _decode_external(record, accepted)
    except InvalidRecord:
        raise
    except Exception as error:
        raise InvalidRecord(f"it cannot be read: {type(error).__name__}") from error


def _decode_external(record: Record, accepted: Iterable[type[EventData]]) -> AnyEvent:
    headers = {name.lower(): value for name, value in record.headers}
    if headers.get("content-type", b"").lower().startswith(_STRUCTURED.encode()):
        attributes, payload = _structured(record.value)
        value: bytes | None = payload
    else:
        attributes, value = _binary_attributes(record), record.value
    external_id = attributes.get("ce_id")
    if not external_id:
        raise InvalidRecord("no ce_id header")
    if attributes.get("ce_specversion") != "1.0":
        raise InvalidRecord("ce_specversion is not 1.0")
    if "\x00" in external_id or _NUL in (value or b""):
        raise InvalidRecord("it contains a NUL character")
    data = _data(accepted, attributes.get("ce_type", ""), value)
    event_id = uuid5(_EXTERNAL, f"{record.topic}\n{external_id}\n{sha256(value or b'').hexdigest()}")
    return Event(
        id=event_id,
        source=record.topic,
        subject=event_id,
        time=_time(attributes.get("ce_time")),
        causation_id=event_id,
        data=data,
        traceparent=attributes.get("traceparent"),
        external_id=external_id[:255],
    )


def _binary_attributes(record: Record) -> dict[str, str]:
    try:
        attributes = {name: value.decode() for name, value in record.headers}
    except UnicodeDecodeError:
        raise InvalidRecord("a header is not UTF-8") from None
    if not attributes.get("ce_id"):
        raise InvalidRecord("no ce_id header")
    return attributes


def _structured(value: bytes | None) -> tuple[dict[str, str], bytes]:
    try:
        envelope = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise InvalidRecord(f"the envelope is not JSON: {error}") from None
    if not isinstance(envelope, dict):
        raise InvalidRecord("the envelope is not a JSON object")
    attributes = {f"ce_{name}": text for name, text in envelope.items() if isinstance(text, str)}
    return attributes, orjson.dumps(envelope.get("data"))


def _time(text: str | None) -> datetime:
    if text is None:
        raise InvalidRecord("no ce_time header")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRecord("ce_time is not an RFC 3339 timestamp") from None
    if moment.tzinfo is None:
        raise InvalidRecord("ce_time has no time zone")
    return moment


def _data(accepted: Iterable[type[EventData]], type_name: str, value: bytes | None) -> EventData:
    types: Mapping[str, type[EventData]] = {data.TYPE: data for data in accepted}
    if type_name not in types:
        raise InvalidRecord(f"event type {type_name!r} is not expected here")
    if value is None:
        raise InvalidRecord("no value (tombstone)")
    try:
        return types[type_name].model_validate_json(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False, include_context=False)[:5]
        )
        raise InvalidRecord(problems) from None
