"""Citizens file, and get a receipt."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import orjson
import uuid_utils.compat
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import ValidationError

from services.intake.api.attachments import attachable
from services.intake.api.documentation import EXAMPLES, SECURED, FiledReceipt, body_of, problems
from services.intake.attachment_store import AttachmentQueries
from services.intake.clients import FILE, Clients
from services.intake.domain.filing import Filing, Submission, sender, submission
from services.intake.handlers import Outcome
from services.intake.limits import Limits, committed
from services.intake.receipts import Receipts
from services.intake.store import Stored
from shared.contracts.events import Attachment
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.runtime.access_tokens import Client
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem, field_errors

_REFERENCE_ATTEMPTS = 5
_REPLAYED = "idempotent-replayed"


def make_router(
    commits: GroupCommit[Submission, Outcome],
    clock: Clock,
    codes: AccessCodes,
    receipts: Receipts,
    clients: Clients,
    limits: Limits,
    uploads: AttachmentQueries,
) -> APIRouter:
    """`POST /v1/complaints`: 201 once the complaint is durable, the same answer for the same Idempotency-Key.

    `Idempotent-Replayed: true` says that the receipt was given before.
    """
    router = APIRouter()
    may_file = Depends(clients.with_scope(FILE))

    @router.post(
        "/v1/complaints",
        status_code=201,
        response_model=FiledReceipt,
        responses=problems(400, 401, 403, 413, 422),
        openapi_extra=body_of(Filing, EXAMPLES) | SECURED,
    )
    async def file(
        request: Request,
        client: Annotated[Client, may_file],
        client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> Response:
        try:
            filing = Filing.model_validate_json(await request.body())
        except ValidationError as error:
            raise Problem(400, "invalid-request", field_errors(error)) from None
        headers = limits.of_filing(client.id, sender(filing))
        attachments = await attachable(uploads, filing.attachments, client, clock.now())
        outcome = await _commit(filing, attachments, client.id, client_key)
        if not outcome.same_content:
            raise Problem(422, "idempotency-key-reused")
        assert outcome.stored is not None
        return _receipt(outcome.stored, headers | ({_REPLAYED: "true"} if outcome.repeated else {}))

    async def _commit(
        filing: Filing, attachments: Sequence[Attachment], client: str, client_key: str | None
    ) -> Outcome:
        for _ in range(_REFERENCE_ATTEMPTS):
            number = secrets.randbelow(10**8)
            complaint_id = UUID(int=uuid_utils.compat.uuid7().int)
            item = submission(filing, client, client_key, complaint_id, number, clock.now(), codes.current, attachments)
            outcome = await committed(commits, item, (client, sender(filing) or ""))
            if outcome.stored is not None:
                return outcome
        raise Problem(503, "unavailable", headers={"retry-after": "5"})

    def _receipt(stored: Stored, headers: Mapping[str, str]) -> Response:
        body = {
            "id": stored.complaint_id,
            "reference": stored.reference,
            "access_code": codes.code(stored.complaint_id, stored.access_code_key, stored.access_code_issue),
            "received_at": stored.received_at,
            "receipt": receipts.signed(stored),
        }
        private = {"cache-control": "no-store", **headers}
        return Response(orjson.dumps(body, default=str), 201, private, "application/json")

    return router
