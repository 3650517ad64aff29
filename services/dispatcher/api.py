"""The HTTP API of the dispatcher: the registry of administrations, its provisioner, and administrations' replies."""

import hmac
import re
from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field

from services.dispatcher.administrations import Administrations, StepRefused, UnknownAdministration
from services.dispatcher.domain.onboarding import Entry, Step
from services.dispatcher.registry_store import RegistryQueries
from services.dispatcher.replies import Reply, ReplyOutcome
from shared.contracts.administrations import AdministrationState
from shared.contracts.topics import administration_outbox
from shared.database.group_commit import GroupCommit, Overloaded
from shared.messaging.codec import InvalidRecord, Record
from shared.runtime.problems import Problem

Authorization = Annotated[str, Header()]

_CLOUDEVENTS_HEADER = re.compile(r"^ce-([a-z0-9]+)$")


class NewAdministration(BaseModel):
    """A body to add to the registry, or what to correct of one; `parent` takes over on behalf of it."""

    kind: Annotated[str, Field(min_length=1, max_length=64)]
    parent: Annotated[str, Field(min_length=1, max_length=64)]
    name_fr: Annotated[str, Field(min_length=1, max_length=300)]
    name_ar: Annotated[str, Field(min_length=1, max_length=300)]


class Report(BaseModel):
    """What the provisioner did. `token_sha256` (64 hex digits) comes with `provisioned`."""

    step: Literal["provisioned", "probed", "withdrawn"]
    generation: int
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


def make_registry_router(
    administrations: Administrations, queries: RegistryQueries, operations_token: str | None
) -> APIRouter:
    """The registry, for operations."""
    router = APIRouter(prefix="/v1/administrations")

    @router.get("")
    async def every(authorization: Authorization = "") -> Response:
        """All administrations with their states, by code."""
        _require(authorization, operations_token)
        return _json({"administrations": [_shown(entry) for entry in await queries.all()]})

    @router.get("/{code}")
    async def one(code: str, authorization: Authorization = "") -> Response:
        """One administration with its state."""
        _require(authorization, operations_token)
        entry = await queries.one(code)
        if entry is None:
            raise Problem(404, "not-found")
        return _json(_shown(entry))

    @router.put("/{code}")
    async def put(code: str, body: NewAdministration, authorization: Authorization = "") -> Response:
        """Adds an administration, or corrects its names and parent. A new one is `listed`."""
        _require(authorization, operations_token)
        try:
            administration_outbox(code)
        except ValueError:
            raise Problem(400, "invalid-request", [("code", "invalid", {})]) from None
        if body.parent != code and await queries.one(body.parent) is None:
            raise Problem(400, "invalid-request", [("parent", "unknown_administration", {})])
        await administrations.put(code, body.kind, body.parent, body.name_fr, body.name_ar)
        entry = await queries.one(code)
        assert entry is not None
        return _json(_shown(entry))

    @router.post("/{code}/onboarding")
    async def onboard(code: str, authorization: Authorization = "") -> Response:
        """202: the provisioner will make topics and credentials; then its parked complaints are released."""
        return await ask(code, Step.REQUEST, authorization)

    @router.post("/{code}/rotation")
    async def rotate(code: str, authorization: Authorization = "") -> Response:
        """202: the provisioner will replace the credentials of an administration on board, or make its first ones."""
        return await ask(code, Step.ROTATE, authorization)

    @router.delete("/{code}/onboarding")
    async def offboard(code: str, authorization: Authorization = "") -> Response:
        """202: its parent takes over its unfinished complaints; rights and credentials go, topics stay."""
        return await ask(code, Step.OFFBOARD, authorization)

    async def ask(code: str, step: Step, authorization: str) -> Response:
        _require(authorization, operations_token)
        try:
            return _json(_shown(await administrations.ask(code, step)), 202)
        except UnknownAdministration:
            raise Problem(404, "not-found") from None
        except StepRefused as refused:
            raise Problem(409, "not-possible-now", extensions={"detail": str(refused)}) from None

    return router


def make_provisioning_router(
    administrations: Administrations, queries: RegistryQueries, provisioner_token: str | None
) -> APIRouter:
    """What is to be done in Kafka and what was done, for the provisioner."""
    router = APIRouter(prefix="/v1/provisioning")

    @router.get("")
    async def tasks(authorization: Authorization = "") -> Response:
        """`provision` or `withdraw` for each administration that waits for it, with the generation wanted."""
        _require(authorization, provisioner_token)
        under_way = [(entry, entry.task) for entry in await queries.under_way()]
        return _json(
            {
                "tasks": [
                    {"code": entry.code, "task": task, "generation": entry.generation}
                    for entry, task in under_way
                    if task is not None
                ]
            }
        )

    @router.post("/{code}/reports")
    async def report(code: str, body: Report, authorization: Authorization = "") -> Response:
        """The state after the report; after `provisioned`, also the id of the inbox record to read as a probe."""
        _require(authorization, provisioner_token)
        token_hash = None if body.token_sha256 is None else bytes.fromhex(body.token_sha256)
        try:
            entry, probe = await administrations.report(code, Step(body.step), body.generation, token_hash)
        except UnknownAdministration:
            raise Problem(404, "not-found") from None
        except StepRefused as refused:
            raise Problem(409, "not-possible-now", extensions={"detail": str(refused)}) from None
        return _json({"state": entry.state, "probe": probe})

    return router


def make_replies_router(queries: RegistryQueries, replies: GroupCommit[Reply, ReplyOutcome]) -> APIRouter:
    """What administrations say, for those that do not write to Kafka."""
    router = APIRouter()

    @router.post("/v1/administrations/{code}/replies")
    async def reply(code: str, request: Request, authorization: Authorization = "") -> Response:
        """A CloudEvent over HTTP, binary (`ce-…` headers) or structured, checked as one from the outbox is.

        200 when it was applied, also when said again; 409 with the reason when it was refused. A refusal is in
        `administrations.<code>.rejected` too.
        """
        token_hash = await queries.token_hash(code)
        if token_hash is None or not hmac.compare_digest(_token_hash(authorization), token_hash):
            raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})
        record = Record(administration_outbox(code).name, -1, -1, None, _headers(request), await request.body())
        try:
            outcome = await replies.submit(Reply.read(record))
        except InvalidRecord as error:
            raise Problem(400, "invalid-request", extensions={"detail": str(error)}) from None
        except Overloaded:
            raise Problem(503, "unavailable", headers={"retry-after": "1"}) from None
        if outcome.reason is not None:
            details = {"reason": outcome.reason, "detail": outcome.detail}
            raise Problem(409, "reply-refused", extensions=details)
        return _json({"applied": True})

    return router


def _headers(request: Request) -> tuple[tuple[str, bytes], ...]:
    """The headers of the event as a Kafka record carries them (CloudEvents HTTP and Kafka bindings, section 3.1)."""
    found = [("content-type", request.headers.get("content-type", "").encode())]
    for name, value in request.headers.items():
        attribute = _CLOUDEVENTS_HEADER.match(name.lower())
        if attribute is not None:
            found.append((f"ce_{attribute[1]}", value.encode()))
    return tuple(found)


def _token_hash(authorization: str) -> bytes:
    return sha256(authorization.removeprefix("Bearer ").encode()).digest()


def _require(authorization: str, token: str | None) -> None:
    if token is None or not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})


def _shown(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = entry._asdict()
    shown["has_credentials"] = shown.pop("token_hash") is not None
    return shown


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, default=_text), status, {"cache-control": "no-store"}, "application/json")


def _text(value: UUID | AdministrationState) -> str:
    return str(value)
