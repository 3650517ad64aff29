"""What the OpenAPI document says of the routes that FastAPI does not see: bodies they read themselves, and errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.intake.clients import SCOPES
from services.intake.domain.actions import ACTIONS
from services.intake.domain.filing import Filing
from shared.contracts.events import Attachment
from shared.contracts.lifecycle import CitizenAction

_SCHEMAS = "#/components/schemas/"
_ABOUT = """\
Citizens file complaints, observations and suggestions through channel frontends, and act on them.
Send an `Idempotency-Key` with every POST: the same key and body get the same answer, however often they are sent.
Errors are problem details (RFC 9457) in Arabic, French or English, by `Accept-Language`."""


class FiledReceipt(BaseModel):
    """What the citizen keeps. `receipt` is the signed statement (compact JWS); `access_code` is secret."""

    id: UUID
    reference: str
    access_code: str
    received_at: datetime
    receipt: str


class ReceiptAgain(BaseModel):
    """The receipt of a complaint, given again."""

    id: UUID
    reference: str
    received_at: datetime
    receipt: str


class KnownReceipt(BaseModel):
    """There is such a receipt."""

    reference: str
    received_at: datetime


class AcceptedAction(BaseModel):
    """The action is durable; the complaint's timeline tells what came of it."""

    action_id: UUID
    action: CitizenAction


class AttachmentList(BaseModel):
    """What is attached to a complaint."""

    attachments: list[Attachment]


class PublicKeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


class FieldError(BaseModel):
    """A field at fault."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    errors: list[FieldError] | None = None


EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "ar": {
        "summary": "شكاية بالعربية",
        "value": {
            "subject": "غياب الأطباء في المستعجلات",
            "text": "انتظرنا ست ساعات في مستعجلات المستشفى الإقليمي دون أن يحضر أي طبيب.",
            "language": "ar",
            "channel": "web",
            "administration": "sante",
            "complainant": {"name": "أمينة", "phone": "0612345678"},
            "preferred_contact": "sms",
        },
    },
    "fr": {
        "summary": "Réclamation en français",
        "value": {
            "subject": "Coupures d’eau répétées",
            "text": "L’eau est coupée chaque soir depuis deux semaines dans notre quartier.",
            "language": "fr",
            "channel": "mobile",
            "place": {"latitude": 33.97, "longitude": -6.85},
        },
    },
    "en": {
        "summary": "A suggestion in English, with a photo uploaded before",
        "value": {
            "kind": "suggestion",
            "subject": "More evening trains",
            "text": "Please add a late train between Kenitra and Rabat.",
            "language": "en",
            "channel": "counter",
        },
    },
}


def body_of(model: type[BaseModel], examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads a model from its body."""
    content: dict[str, Any] = {"schema": {"$ref": f"{_SCHEMAS}{model.__name__}"}}
    if examples:
        content["examples"] = examples
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def content_of(model: type[BaseModel], media_type: str) -> dict[str, Any]:
    """The content of a response that is a model in another media type than JSON's own."""
    return {media_type: {"schema": {"$ref": f"{_SCHEMAS}{model.__name__}"}}}


def binary(media_type: str) -> dict[str, Any]:
    """The content of a response that is a file."""
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route; every route may answer 429 and 503."""
    content = {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}ProblemDocument"}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in (*statuses, 429, 503)}


_MEANINGS = {
    400: "The request is not valid; `errors` names the fields.",
    401: "No valid access token or API key.",
    403: "The client lacks the scope.",
    404: "There is no such thing, or the access code is wrong.",
    408: "The request took too long to arrive.",
    409: "The upload offset is not where the received content ends.",
    410: "The upload expired.",
    412: "The version of the upload protocol is not supported.",
    413: "The body is too large.",
    415: "The content is of a type that may not be attached.",
    422: "The Idempotency-Key was used for another body, or the content is malicious.",
    429: "Too many requests; `Retry-After` says when to come back.",
    460: "The checksum does not match (tus).",
    503: "Temporarily unavailable; nothing was accepted.",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of intake."""
    written = app.openapi()
    written["info"] = {
        "title": "Chikaya intake",
        "version": "1",
        "description": _ABOUT,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    for path in written["paths"].values():
        for operation in path.values():
            _without_fastapis_errors(operation["responses"])
    models: list[type[BaseModel]] = [Filing, *(body for _, body in ACTIONS.values()), ProblemDocument, PublicKeySet]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}")
    components = written.setdefault("components", {})
    known = components.get("schemas", {}) | schemas["$defs"]
    components["schemas"] = {name: known[name] for name in sorted(known) if name not in _FASTAPIS_ERRORS}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": f"An access token or API key; {_scopes(SCOPES)}."}
    }
    return written


_FASTAPIS_ERRORS = ("HTTPValidationError", "ValidationError")


def _without_fastapis_errors(responses: dict[str, Any]) -> None:
    """A parameter that is not valid is a 400 here, and a problem document like all errors."""
    if any(name in str(responses.get("422")) for name in _FASTAPIS_ERRORS):
        del responses["422"]
        responses.update({"400": problems(400)[400]})


def _scopes(names: Sequence[str]) -> str:
    return "scopes: " + ", ".join(f"`{name}`" for name in names)


SECURED: dict[str, Any] = {"security": [{"bearer": []}]}
"""The part of `openapi_extra` of a route for clients."""
