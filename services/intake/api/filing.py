"""Citizens file, and get a receipt."""

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
import uuid_utils.compat
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import ValidationError

from services.intake.clients import FILE, Clients
from services.intake.domain.filing import Filing, Submission, idempotency_key, submission
from services.intake.handlers import Outcome
from services.intake.receipts import Receipts
from services.intake.store import Stored
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.runtime.access_tokens import Client
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem, field_errors

_REFERENCE_ATTEMPTS = 5


def make_router(
    commits: GroupCommit[Submission, Outcome], clock: Clock, codes: AccessCodes, receipts: Receipts, clients: Clients
) -> APIRouter:
    """`POST /v1/complaints`: 201 once the complaint is durable, the same answer for the same Idempotency-Key."""
    router = APIRouter()
    may_file = Depends(clients.with_scope(FILE))

    @router.post("/v1/complaints", status_code=201)
    async def file(
        request: Request,
        client: Annotated[Client, may_file],
        client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> Response:
        try:
            filing = Filing.model_validate_json(await request.body())
        except ValidationError as error:
            raise Problem(400, "invalid-request", field_errors(error)) from None
        key = idempotency_key(client.id, client_key or secrets.token_hex(16))
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
            outcome = await commits.submit(item)
            if outcome.stored is not None:
                return outcome
        raise Problem(503, "unavailable", headers={"retry-after": "5"})

    def _receipt(stored: Stored) -> Response:
        body = {
            "id": stored.complaint_id,
            "reference": stored.reference,
            "access_code": codes.code(stored.complaint_id, stored.access_code_key, stored.access_code_issue),
            "received_at": stored.received_at,
            "receipt": receipts.signed(stored),
        }
        return Response(orjson.dumps(body, default=str), 201, {"cache-control": "no-store"}, "application/json")

    return router
