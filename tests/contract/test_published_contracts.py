"""The contracts in `docs/contracts`: as the code has them, readable by those who read the released ones, and true.

`asyncapi-3.0.0.schema.json` is the official schema of AsyncAPI documents, from npm's @asyncapi/specs 6.11.1
(Apache-2.0).
"""

import copy
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import jsonschema_rs
import pytest
import yaml

from deploy.commands.contracts import FOLDER, released_schemas, stale_files
from deploy.contracts import (
    ADMINISTRATION,
    OUTBOX,
    READERS,
    TOPICS,
    Json,
    asyncapi,
    asyncapi_file,
    breaking_changes,
    event_types,
    schemas,
)
from deploy.provisioning import provision_topics
from shared.contracts import events
from shared.contracts.administrations import AdministrationState
from shared.contracts.envelope import Event, EventData
from shared.contracts.lifecycle import AssignmentStatus, CaseStatus, Change, CitizenAction, ReplyAction
from shared.contracts.topics import OUTBOX_PATTERN, Topic, topic_named
from shared.messaging.codec import decode, decode_external
from shared.testing.builders import NOON, records_of

ARABIC = "لا ماء في الدوار منذ أسبوع"
SOME_ID = UUID("018f0000-0000-7000-8000-000000000001")
SUBMITTED, CASE = "ma.chikaya.complaint.submitted.v1", "ma.chikaya.case.changed.v1"

_PLACE = events.Place(region="05", province=ARABIC, commune="05.091", latitude=32.3, longitude=-6.4)
_CLEAR = events.ClearPersonalData(
    content=events.PersonalContent(
        subject=ARABIC, text=ARABIC, complainant=events.Complainant(name=ARABIC, phone="+212600000000", email="a@b.ma")
    )
)
_SEALED = events.SealedPersonalData(
    key_id=SOME_ID, nonce=b64encode(bytes(12)), ciphertext=b64encode(ARABIC.encode() * 9)
)


def _submitted(personal: events.ClearPersonalData | events.SealedPersonalData) -> EventData:
    return events.ComplaintSubmitted(
        complaint_id=SOME_ID,
        reference="26061-0000-0001-42",
        received_at=NOON,
        kind=events.Kind.COMPLAINT,
        channel=events.Channel.WEB,
        language=events.Language.ARY,
        place=_PLACE,
        named_administration="energie",
        access_code_key="k1",
        access_code_issue=1,
        personal=personal,
    )


_EXAMPLES: tuple[EventData, ...] = (
    events.CitizenActed(
        complaint_id=SOME_ID,
        action=CitizenAction.REOPENING,
        acted_at=NOON,
        channel=events.Channel.PHONE,
        satisfied=False,
        preferred_contact=events.PreferredContact.SMS,
        personal=_CLEAR,
    ),
    events.ActionRefused(
        action_id=SOME_ID, complaint_id=SOME_ID, action=CitizenAction.RATING, reason=ARABIC, refused_at=NOON
    ),
    events.AssignmentNotice(
        assignment_id=SOME_ID,
        complaint_id=SOME_ID,
        reference="26061-0417-5531-72",
        administration="sante",
        notice=events.Notice.CITIZEN_MESSAGE,
        at=NOON,
        answer_by=NOON,
        personal=_CLEAR,
    ),
    _submitted(_CLEAR),
    _submitted(_SEALED),
    events.ComplaintClassified(
        complaint_id=SOME_ID,
        decision=events.Decision.ROUTE,
        reason=ARABIC,
        administration="energie",
        candidates=(events.Candidate(administration="energie", confidence=0.75),),
        nature=events.Nature.AVAILABILITY,
        kind=events.Kind.COMPLAINT,
        model_version="lexicon-1",
    ),
    events.TriageRequested(
        complaint_id=SOME_ID,
        reference="26061-0000-0001-37",
        received_at=NOON,
        round=1,
        refused=("sante",),
        reason=ARABIC,
        kind=events.Kind.COMPLAINT,
        personal=_CLEAR,
    ),
    events.CaseChanged(
        complaint_id=SOME_ID,
        reference="26061-0000-0001-42",
        version=4,
        change=Change.ANSWERED,
        status=CaseStatus.ANSWERED,
        received_at=NOON,
        changed_at=NOON,
        kind=events.Kind.COMPLAINT,
        nature=events.Nature.AVAILABILITY,
        assignments=(
            events.AssignmentState(
                assignment_id=SOME_ID,
                administration="energie",
                status=AssignmentStatus.ANSWERED,
                assigned_at=NOON,
                status_since=NOON,
                answer=ARABIC,
            ),
        ),
        deadlines=events.Deadlines(forward_by=NOON, answer_by=NOON, policy="2026"),
    ),
    events.AssignmentForwarded(
        assignment_id=SOME_ID,
        complaint_id=SOME_ID,
        reference="26061-0000-0001-42",
        administration="energie",
        received_at=NOON,
        forwarded_at=NOON,
        answer_by=NOON,
        kind=events.Kind.COMPLAINT,
        place=_PLACE,
        personal=_CLEAR,
    ),
    events.AdministrationChanged(administration=ARABIC, state=AdministrationState.PROVISIONED, generation=1),
    events.AdministrationReplied(assignment_id=SOME_ID, action=ReplyAction.ANSWERED, text=ARABIC),
    events.ReplyRejected(administration="energie", origin="t/0/1", reply_id=ARABIC, reason="unreadable", detail=ARABIC),
    events.NotificationRecorded(
        message_id=SOME_ID,
        complaint_id=SOME_ID,
        template=ARABIC,
        channel="sms",
        state=events.DeliveryState.SENT,
        at=NOON,
    ),
)


# The files


def test_the_committed_files_are_what_is_generated() -> None:
    assert not stale_files(), "run `./chikaya contracts`"


def test_every_event_class_is_published() -> None:
    declared = {one for one in vars(events).values() if isinstance(one, type) and issubclass(one, EventData)}
    assert set(event_types()) == declared - {EventData}


# Compatibility


def test_no_released_reader_breaks() -> None:
    assert set(released_schemas()) >= {SUBMITTED, CASE}
    assert breaking_changes(released_schemas(), schemas()) == []


def _definition(schema: Json, name: str) -> Json:
    found: Json = schema["$defs"][name]
    return found


def _rename(schema: Json) -> None:
    schema["properties"]["ref"] = schema["properties"].pop("reference")


def _remove_optional(schema: Json) -> None:
    del schema["properties"]["language"]


def _add_required(schema: Json) -> None:
    schema["properties"]["urgent"] = {"type": "boolean"}
    schema["required"].append("urgent")


BREAKING: dict[str, tuple[Callable[[Json], object], str]] = {
    "renamed": (_rename, "$.reference was removed"),
    "removed, though optional": (_remove_optional, "$.language was removed"),
    "new and required": (_add_required, "$.urgent is new and required"),
    "made required": (lambda s: s["required"].append("place"), "$.place became required"),
    "made optional": (lambda s: s["required"].remove("reference"), "$.reference became optional"),
    "other type": (lambda s: s["properties"]["reference"].update(type="integer"), '$.reference: type was "string"'),
    "null no longer allowed": (lambda s: s["properties"]["place"]["anyOf"].pop(), "$.place(anyOf 1) was"),
    "other format": (lambda s: s["properties"]["received_at"].update(format="date"), "$.received_at: format was"),
    "enumeration narrowed": (lambda s: _definition(s, "Kind")["enum"].pop(), "$.kind: enum was"),
    "enumeration widened": (lambda s: _definition(s, "Kind")["enum"].append("petition"), "$.kind: enum was"),
    "limit added": (lambda s: s["properties"]["reference"].update(maxLength=5), "$.reference: maxLength was absent"),
    "limit narrowed, nested": (
        lambda s: _definition(s, "Place")["properties"]["latitude"]["anyOf"][0].update(maximum=36),
        "$.place(anyOf 0).latitude(anyOf 0): maximum was 90, is 36",
    ),
    "other default": (
        lambda s: s["properties"]["against_named_administration"].update(default=True),
        "$.against_named_administration: default was false, is true",
    ),
    "alternative removed": (lambda s: s["properties"]["personal"]["oneOf"].pop(), "$.personal(oneOf 1) was"),
    "closed": (lambda s: s.update(additionalProperties=False), "$[additionalProperties] was absent, is false"),
}


@pytest.mark.parametrize("change", BREAKING)
def test_a_breaking_change_is_named(change: str) -> None:
    plant, expected = BREAKING[change]
    planted = copy.deepcopy(schemas())
    plant(planted[SUBMITTED])
    found = breaking_changes(schemas(), planted)
    assert any(one.startswith(f"{SUBMITTED}: {expected}") for one in found), found


def test_a_change_in_a_list_is_named_and_a_type_may_not_vanish() -> None:
    planted = copy.deepcopy(schemas())
    del planted[SUBMITTED]
    _definition(planted[CASE], "AssignmentState")["properties"]["status"] = {"type": "string"}
    vanished, *narrowed = breaking_changes(schemas(), planted)
    assert vanished == f"{SUBMITTED}: no longer published"
    assert narrowed[0].startswith(f"{CASE}: $.assignments[items].status: enum was")


def test_optional_properties_words_and_names_of_definitions_may_change() -> None:
    planted = copy.deepcopy(schemas())
    planted["ma.chikaya.complaint.withdrawn.v1"] = {"type": "object"}
    schema = planted[SUBMITTED]
    schema["description"] = "Other words."
    schema["properties"]["urgent"] = {"type": "boolean", "default": False}
    _definition(schema, "Place")["properties"]["postcode"] = {"type": "string"}
    schema["$defs"]["Sort"] = schema["$defs"].pop("Kind")
    schema["properties"]["kind"] = {"$ref": "#/$defs/Sort"}
    assert breaking_changes(schemas(), planted) == []


# The AsyncAPI document


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _target(document: Json, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_references_of_the_asyncapi_document_lead_somewhere() -> None:
    document = asyncapi()
    for reference in _references(document):
        assert _target(document, reference) if reference.startswith("#/") else (FOLDER / reference).is_file()
    for operation in document["operations"].values():
        for message in _references(operation["messages"]):
            assert message.startswith(f"{operation['channel']['$ref']}/messages/")
    for channel in document["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {}))


def test_every_topic_that_is_provisioned_is_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    provisioned: list[str] = []
    monkeypatch.setattr(
        "deploy.provisioning.create_topics", lambda _, topics, **__: provisioned.extend(topic.name for topic in topics)
    )
    provision_topics("")
    channels = asyncapi()["channels"].values()
    for name in provisioned:
        (channel,) = [one for one in channels if re.fullmatch(re.sub(r"\{\w+\}", "[^.]+", one["address"]), name)]
        assert channel["bindings"]["kafka"]["partitions"] == topic_named(name).partitions


@pytest.mark.parametrize("service", [service for service in READERS if service != ADMINISTRATION])
def test_the_declared_readers_consume_those_topics(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "INSTANCE_ID"):
        monkeypatch.setenv(f"CHIKAYA_{name}", "unused")
    monkeypatch.setenv("CHIKAYA_ACCESS_CODE_KEYS", '{"k1": "00"}')
    monkeypatch.setenv("CHIKAYA_SIGNING_KEYS", json.dumps({"k1": "07" * 32}))
    module = import_module(f"services.{service}.service")
    consumer = MagicMock()
    monkeypatch.setattr(module, "Consumer", consumer)
    monkeypatch.setattr(module, "run_service", lambda _, __, build: build(MagicMock()))
    module.main()
    consumed: set[str] = set()
    for call in consumer.call_args_list:
        consumed.update(call.kwargs.get("topics", ()))
        if call.kwargs.get("pattern") == OUTBOX_PATTERN:
            consumed.add(OUTBOX.name)
    assert consumed == {topic.name for topic in READERS[service]}


def test_the_asyncapi_file_is_valid() -> None:
    official = json.loads(Path(__file__).with_name("asyncapi-3.0.0.schema.json").read_text("utf-8"))
    document = yaml.safe_load(asyncapi_file())
    assert document == asyncapi()
    validator = jsonschema_rs.validator_for(official)
    validator.validate(document)
    document["operations"]["intake.sends.complaints.submitted"]["action"] = "publish"
    assert not validator.is_valid(document), "the validator itself"


# The records


def _round_trip_cases() -> list[Any]:
    topics = {data: topic for topic in TOPICS for data in topic.events}
    return [pytest.param(topics[type(example)], example, id=type(example).__name__) for example in _EXAMPLES]


@pytest.mark.parametrize(("topic", "data"), _round_trip_cases())
def test_every_event_comes_back_as_it_was_sent(topic: Topic, data: EventData) -> None:
    sent = Event(SOME_ID, "/chikaya/test", SOME_ID, NOON, SOME_ID, data, traceparent="00-0-0-01")
    (record,) = records_of(topic, [sent], sequence=7)
    received = decode(record, topic.events)
    assert (received.data, received.sequence) == (data, 7)
    assert (received.id, received.subject, received.time) == (sent.id, sent.subject, sent.time)
    assert dict(record.headers)["ce_dataschema"].decode() == schemas()[data.TYPE]["$id"]
    assert record.value is not None
    assert ARABIC.encode() in record.value and b"\\u" not in record.value
    if topic is OUTBOX:
        assert decode_external(record, topic.events).data == data


@pytest.mark.parametrize(("topic", "data"), _round_trip_cases())
def test_records_are_valid_by_the_published_schema(topic: Topic, data: EventData) -> None:
    event = Event(SOME_ID, "/chikaya/test", SOME_ID, NOON, SOME_ID, data)
    (record,) = records_of(topic, [event])
    assert record.value is not None
    jsonschema_rs.meta.validate(schemas()[data.TYPE])
    payload = jsonschema_rs.validator_for(schemas()[data.TYPE], validate_formats=True)
    payload.validate(json.loads(record.value))

    components = asyncapi()["components"]
    document = {**components["messages"][type(data).__name__]["headers"], "components": components}
    headers = {name: value.decode() for name, value in record.headers}
    validator = jsonschema_rs.Draft7Validator(document, validate_formats=True)
    validator.validate(headers)
    assert not validator.is_valid(headers | {"ce_type": "other"}), "the validator itself"


def test_the_examples_cover_every_event_type() -> None:
    assert {type(example) for example in _EXAMPLES} == set(event_types())
