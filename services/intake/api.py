"""The HTTP API of intake."""

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
import uuid_utils.compat
from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError

from services.intake.domain.actions import ACTIONS, Action, action
from services.intake.domain.filing import Filing, Submission, idempotency_key, submission
from services.intake.handlers import Outcome
from services.intake.store import IntakeQueries, Stored
from shared.contracts.reference import AccessCodes, parse_reference
from shared.database.group_commit import GroupCommit, Overloaded
from shared.database.pool import is_transient
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem, field_errors

_CLIENT = "public"
_REFERENCE_ATTEMPTS = 5


def make_router(commits: GroupCommit[Submission, Outcome], clock: Clock, codes: AccessCodes) -> APIRouter:
    """`POST /v1/complaints`: 201 once the complaint is durable, the same answer for the same Idempotency-Key."""
    router = APIRouter()

    @router.post("/v1/complaints", status_code=201)
    async def file(
        request: Request,
        client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> Response:
        try:
            filing = Filing.model_validate_json(await request.body())
        except ValidationError as error:
            raise Problem(400, "invalid-request", field_errors(error)) from None
        key = idempotency_key(_CLIENT, client_key or secrets.token_hex(16))
        outcome = await _commit(filing, key, clock.now())
        if not outcome.same_content:
            raise Problem(422, "idempotency-key-reused")
        assert outcome.stored is not None
        return _receipt(outcome.stored)

    async def _commit(filing: Filing, key: UUID, now: datetime) -> Outcome:
        for _ in range(_REFERENCE_ATTEMPTS):
            number = secrets.randbelow(10**8)
            complaint_id = UUID(int=uuid_utils.compat.uuid7().int)
            item = submission(filing, key, complaint_id, number, now, codes.current)
            try:
                outcome = await commits.submit(item)
            except Exception as error:
                if not is_transient(error) and not isinstance(error, Overloaded):
                    raise
                raise Problem(503, "unavailable", headers={"retry-after": "5"}) from error
            if outcome.stored is not None:
                return outcome
        raise Problem(503, "unavailable", headers={"retry-after": "5"})

    def _receipt(stored: Stored) -> Response:
        body = {
            "id": stored.complaint_id,
            "reference": stored.reference,
            "access_code": codes.code(stored.complaint_id, stored.access_code_key, stored.access_code_issue),
            "received_at": stored.received_at,
        }
        return Response(orjson.dumps(body, default=str), 201, {"cache-control": "no-store"}, "application/json")

    return router


def make_actions_router(
    commits: GroupCommit[Action, bool], queries: IntakeQueries, clock: Clock, codes: AccessCodes
) -> APIRouter:
    """`POST /v1/complaints/{reference}/{action}`: 202 once the action is durable; the timeline tells what came of it.

    A wrong reference and a wrong access code are answered alike.
    """
    router = APIRouter()

    @router.post("/v1/complaints/{reference}/{name}", status_code=202)
    async def act(
        reference: str,
        name: str,
        request: Request,
        access_code: Annotated[str, Header()] = "",
        client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> Response:
        if name not in ACTIONS:
            raise Problem(404, "not-found")
        complaint_id = await _complaint(reference, access_code)
        kind, body = ACTIONS[name]
        try:
            filed = body.model_validate_json(await request.body())
        except ValidationError as error:
            raise Problem(400, "invalid-request", field_errors(error)) from None
        accepted = action(complaint_id, kind, filed, client_key or secrets.token_hex(16), clock.now())
        try:
            same_content = await commits.submit(accepted)
        except Overloaded as error:
            raise Problem(503, "unavailable", headers={"retry-after": "5"}) from error
        if not same_content:
            raise Problem(422, "idempotency-key-reused")
        told = {"action_id": accepted.event.id, "action": kind}
        return Response(orjson.dumps(told, default=str), 202, {"cache-control": "no-store"}, "application/json")

    async def _complaint(reference: str, access_code: str) -> UUID:
        canonical = parse_reference(reference)
        stored = None if canonical is None else await queries.by_reference(canonical)
        # The comparison is made either way: the time it takes must not tell whether the reference exists.
        complaint_id, key, issue = UUID(int=0), codes.current, 1
        if stored is not None and stored.access_code_key in codes.keys:
            complaint_id, key, issue = stored.complaint_id, stored.access_code_key, stored.access_code_issue
        if not codes.matches(access_code, complaint_id, key, issue) or not complaint_id.int:
            raise Problem(404, "not-found")
        return complaint_id

    return router
