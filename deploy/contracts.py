"""The published contracts, made from the event classes and the topic declarations.

One JSON Schema (2020-12) per event type, one AsyncAPI 3.0 document, and the comparison of today's schemas with the
released ones. Everything here is a pure function of the declarations; `./chikaya contracts` writes the files.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.contracts.envelope import EventData
from shared.contracts.topics import (
    CITIZEN_ACTIONS,
    CLASSIFIED,
    DELIVERIES,
    INTERNAL,
    LIFECYCLE,
    SUBMITTED,
    TRIAGE_REQUESTS,
    Topic,
    administration_inbox,
    administration_outbox,
    administration_rejected,
    dead_letters,
)
from shared.messaging.codec import SCHEMAS

Json = dict[str, Any]


ADMINISTRATION = "administration"
"""The name, among the services, of the party outside that works with an administration's topics."""

INBOX = replace(administration_inbox("code"), name="administrations.{code}.inbox")
OUTBOX = replace(administration_outbox("code"), name="administrations.{code}.outbox")
REJECTED = replace(administration_rejected("code"), name="administrations.{code}.rejected")
DEAD_LETTERS = dead_letters("{service}")
TOPICS: tuple[Topic, ...] = (*INTERNAL, INBOX, OUTBOX, REJECTED, DEAD_LETTERS)
"""Every topic; the name of one that exists many times is a template."""

READERS: Mapping[str, tuple[Topic, ...]] = {
    "classifier": (SUBMITTED, TRIAGE_REQUESTS),
    "dispatcher": (SUBMITTED, CITIZEN_ACTIONS, CLASSIFIED, OUTBOX),
    "tracker": (SUBMITTED, LIFECYCLE, DELIVERIES),
    "notifier": (SUBMITTED, CITIZEN_ACTIONS, LIFECYCLE),
    ADMINISTRATION: (INBOX, REJECTED),
}
"""The topics each service consumes."""


# JSON Schemas


class _Generator(GenerateJsonSchema):
    """Without OpenAPI's `discriminator` and without titles that repeat names; a constant property is always there."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        union = super().tagged_union_schema(schema)
        union.pop("discriminator", None)
        return union

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        inner = field["schema"]
        is_constant = inner["type"] == "default" and inner["schema"]["type"] == "literal"
        return is_constant or super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def event_types() -> tuple[type[EventData], ...]:
    """The event classes of all topics."""
    return tuple(dict.fromkeys(data for topic in TOPICS for data in topic.events))


def schemas() -> dict[str, Json]:
    """The JSON Schema of every event type, by `ce_type`."""
    return {data.TYPE: _schema(data) for data in event_types()}


def _schema(data: type[EventData]) -> Json:
    generated = data.model_json_schema(schema_generator=_Generator)
    first = ("title", "description", "type", "properties", "required")
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"{SCHEMAS}{data.TYPE}.json",
        **{keyword: generated[keyword] for keyword in first if keyword in generated},
        **{keyword: value for keyword, value in generated.items() if keyword not in first},
    }


# AsyncAPI

_JSON = "application/json; charset=utf-8"
_KAFKA_BINDING = "0.5.0"
_DEAD_LETTER = "DeadLetter"
_ABOUT = """\
CloudEvents 1.0 on Kafka, binary content mode: attributes in headers, the data as UTF-8 JSON in the value.
Delivery is at least once: drop repeats by `ce_id`. Ignore properties you do not know: optional ones may be added.
From administrations the structured content mode (`application/cloudevents+json`) is understood too."""


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document of all topics; payloads refer to the schema files beside it."""
    messages = {data.__name__: _event_message(data, topic) for topic in TOPICS for data in topic.events} | {
        _DEAD_LETTER: _dead_letter_message()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chikaya events",
            "version": "1.0.0",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": {_channel_id(topic): _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": messages,
            "schemas": {"EventHeaders": _event_headers(), "OutsideHeaders": _outside_headers()},
        },
    }


def _channel_id(topic: Topic) -> str:
    return re.sub(r"\{\w+\}\.", "", topic.name)


def _message_names(topic: Topic) -> list[str]:
    return [data.__name__ for data in topic.events] or [_DEAD_LETTER]


def _channel(topic: Topic) -> Json:
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    parameters = {name: _PARAMETERS[name] for name in re.findall(r"\{(\w+)\}", topic.name)}
    kafka = {
        "partitions": topic.partitions,
        "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": retention},
        "bindingVersion": _KAFKA_BINDING,
    }
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _message_names(topic)},
        **({"parameters": parameters} if parameters else {}),
        "bindings": {"kafka": kafka},
    }


_PARAMETERS: Mapping[str, Json] = {
    "code": {"description": "The administration's code: lower case letters, digits, dashes.", "examples": ["energie"]},
    "service": {
        "description": "The service that could not read the record.",
        "enum": [service for service in READERS if service != ADMINISTRATION],
    },
}


def _operations() -> Iterator[tuple[str, Json]]:
    for topic in TOPICS:
        writers = _PARAMETERS["service"]["enum"] if topic is DEAD_LETTERS else [topic.writer or ADMINISTRATION]
        for service in writers:
            yield _operation(service, "send", topic)
        for service, topics in READERS.items():
            if topic in topics:
                yield _operation(service, "receive", topic)


def _operation(service: str, action: str, topic: Topic) -> tuple[str, Json]:
    channel = f"#/channels/{_channel_id(topic)}"
    return f"{service}.{action}s.{_channel_id(topic)}", {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _message_names(topic)],
    }


def _event_message(data: type[EventData], topic: Topic) -> Json:
    outside = topic.writer is None
    headers = "OutsideHeaders" if outside else "EventHeaders"
    of_type = {"ce_type": {"const": data.TYPE}, "ce_dataschema": {"const": f"{SCHEMAS}{data.TYPE}.json"}}
    return {
        "name": data.TYPE,
        "title": data.__name__,
        "summary": " ".join((data.__doc__ or "").split()),
        "contentType": _JSON,
        "headers": {
            "type": "object",
            "allOf": [{"$ref": f"#/components/schemas/{headers}"}],
            "properties": of_type,
        },
        "payload": {"$ref": f"schemas/{data.TYPE}.json"},
        "bindings": {"kafka": {"key": _key(topic), "bindingVersion": _KAFKA_BINDING}},
    }


def _key(topic: Topic) -> Json:
    if topic.writer is None:
        return {"type": "string", "description": "Not read; any key or none."}
    meaning = "An id made from the refused record." if topic is REJECTED else "The complaint's id."
    return {"type": "string", "format": "uuid", "description": meaning}


def _dead_letter_message() -> Json:
    origin = ("dlq_origin_topic", "dlq_origin_partition", "dlq_origin_offset", "dlq_reason")
    return {
        "name": _DEAD_LETTER,
        "title": _DEAD_LETTER,
        "summary": "A copy of a record that could not be read, key, headers and value as they were, with its origin.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in origin},
            "required": list(origin),
        },
    }


def _event_headers() -> Json:
    properties: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "Stable; the same in every repeat."},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_type": {"type": "string"},
        "ce_subject": {"type": "string", "format": "uuid", "description": "The record's key."},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"type": "string", "format": "uri"},
        "ce_causationid": {"type": "string", "format": "uuid", "description": "What caused the event."},
        "ce_sequence": {"type": "string", "pattern": "^[0-9]+$", "description": "Grows with each event of a writer."},
        "content-type": {"const": _JSON},
    }
    trace = {"traceparent": {"type": "string", "description": "W3C Trace Context."}}
    return {"type": "object", "properties": properties | trace, "required": list(properties)}


def _outside_headers() -> Json:
    properties: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "minLength": 1, "description": "Unique per message; the same in every repeat."},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time", "description": "With its time zone."},
    }
    optional = {
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_dataschema": {"type": "string", "format": "uri"},
        "content-type": {"type": "string"},
        "traceparent": {"type": "string", "description": "W3C Trace Context."},
    }
    return {"type": "object", "properties": properties | optional, "required": list(properties)}


# Files


def schema_files() -> dict[str, str]:
    """The text of every schema file, by file name."""
    return {
        f"{name}.json": f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n" for name, schema in schemas().items()
    }


def asyncapi_file() -> str:
    """The AsyncAPI document as YAML."""
    notice = "# Made by `./chikaya contracts` from shared/contracts; do not edit.\n"
    return notice + "".join(f"{line}\n" for line in _yaml(asyncapi(), ""))


def _yaml(value: Json | list[Any], indent: str) -> Iterator[str]:
    """YAML block style. Strings are JSON strings, which YAML reads as they are."""
    if isinstance(value, list):
        for item in value:
            first, *others = _yaml(item, f"{indent}  ") if _is_block(item) else [f"{indent}  {_scalar(item)}"]
            yield f"{indent}- {first.removeprefix(f'{indent}  ')}"
            yield from others
        return
    for key, item in value.items():
        name = key if re.fullmatch(r"[$A-Za-z][\w.-]*", key) else json.dumps(key)
        if _is_block(item):
            yield f"{indent}{name}:"
            yield from _yaml(item, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_scalar(item)}"


def _is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# Compatibility

_ANNOTATIONS = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "deprecated"}
_OWN_RULES = {"properties", "required"}


def breaking_changes(released: Mapping[str, Json], current: Mapping[str, Json]) -> list[str]:
    """What keeps a released reader from accepting today's events, or today's reader from accepting released ones.

    Both by event type. A new type, a new optional property and other words in descriptions are no such change.
    Every other difference is, a wider type or enumeration too: a released reader does not know the new values.
    """
    found = [f"{name}: no longer published" for name in released if name not in current]
    for name in released:
        if name in current:
            comparison = _Comparison(released[name], current[name])
            found += [f"{name}: {change}" for change in comparison.changes("$", released[name], current[name])]
    return found


@dataclass(frozen=True)
class _Comparison:
    """Compares two schema documents, following their references."""

    released: Json
    current: Json

    def changes(self, path: str, old: Any, new: Any) -> Iterator[str]:
        """The differences below one place, each as a sentence that begins with its path."""
        old, new = _resolved(self.released, old), _resolved(self.current, new)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from self._properties(path, old, new)
            for keyword in sorted((old.keys() | new.keys()) - _ANNOTATIONS - _OWN_RULES):
                yield from self._keyword(path, keyword, old.get(keyword), new.get(keyword))
        elif old != new:
            yield f"{path} was {_short(old)}, is {_short(new)}"

    def _properties(self, path: str, old: Json, new: Json) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name not in after:
                yield f"{path}.{name} was removed"
                continue
            yield from self.changes(f"{path}.{name}", before[name], after[name])
            if (name in needed_before) != (name in needed_after):
                yield f"{path}.{name} became {'required' if name in needed_after else 'optional'}"
        for name in after:
            if name not in before and (name in needed_after or old.get("additionalProperties") is False):
                yield f"{path}.{name} is new and {'required' if name in needed_after else 'not allowed before'}"

    def _keyword(self, path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
        if keyword in ("enum", "type"):
            if _as_set(old) != _as_set(new):
                yield f"{path}: {keyword} was {_short(old)}, is {_short(new)}"
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(old, list) and isinstance(new, list):
            for number, (one, other) in enumerate(zip_longest(old, new)):
                yield from self.changes(f"{path}({keyword} {number})", one, other)
        elif keyword in ("items", "additionalProperties"):
            yield from self.changes(f"{path}[{keyword}]", old, new)
        elif old != new:
            yield f"{path}: {keyword} was {_short(old)}, is {_short(new)}"


def _resolved(document: Json, schema: Any) -> Any:
    while isinstance(schema, dict) and "$ref" in schema:
        siblings = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        schema = document["$defs"][schema["$ref"].removeprefix("#/$defs/")] | siblings
    return schema


def _as_set(value: Iterable[Any] | None) -> set[str]:
    values = [value] if isinstance(value, str) else value or ()
    return {json.dumps(one) for one in values}


def _short(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)[:120]
