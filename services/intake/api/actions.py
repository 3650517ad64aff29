"""Citizens act on their complaints."""

import secrets
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import ValidationError

from services.intake.api.credentials import credited
from services.intake.clients import ACT, Clients
from services.intake.domain.actions import ACTIONS, Action, action
from services.intake.store import IntakeQueries
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.runtime.access_tokens import Client
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem, field_errors


def make_actions_router(
    commits: GroupCommit[Action, bool], queries: IntakeQueries, clock: Clock, codes: AccessCodes, clients: Clients
) -> APIRouter:
    """`POST /v1/complaints/{reference}/{action}`: 202 once the action is durable; the timeline tells what came of it.

    A wrong reference and a wrong access code are answered alike.
    """
    router = APIRouter()
    may_act = Depends(clients.with_scope(ACT))

    @router.post("/v1/complaints/{reference}/{name}", status_code=202)
    async def act(
        reference: str,
        name: str,
        request: Request,
        client: Annotated[Client, may_act],
        access_code: Annotated[str, Header()] = "",
        client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
    ) -> Response:
        if name not in ACTIONS:
            raise Problem(404, "not-found")
        complaint_id = (await credited(queries, codes, reference, access_code)).complaint_id
        kind, body = ACTIONS[name]
        try:
            filed = body.model_validate_json(await request.body())
        except ValidationError as error:
            raise Problem(400, "invalid-request", field_errors(error)) from None
        key = f"{client.id}\n{client_key or secrets.token_hex(16)}"
        accepted = action(complaint_id, kind, filed, key, clock.now())
        if not await commits.submit(accepted):
            raise Problem(422, "idempotency-key-reused")
        told = {"action_id": accepted.event.id, "action": kind}
        return Response(orjson.dumps(told, default=str), 202, {"cache-control": "no-store"}, "application/json")

    return router
