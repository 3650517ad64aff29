"""Citizens act on their complaints."""

import secrets
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import ValidationError

from services.intake.api.attachments import attachable
from services.intake.api.credentials import Credentials
from services.intake.api.documentation import SECURED, AcceptedAction, body_of, problems
from services.intake.attachment_store import AttachmentQueries
from services.intake.clients import ACT, Clients
from services.intake.domain.actions import ACTIONS, Action, FiledAction, FiledMessage, action
from services.intake.limits import Limits, committed
from shared.contracts.lifecycle import CitizenAction
from shared.database.group_commit import GroupCommit
from shared.runtime.access_tokens import Client
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem, field_errors


def make_actions_router(
    commits: GroupCommit[Action, bool],
    credentials: Credentials,
    clock: Clock,
    clients: Clients,
    limits: Limits,
    uploads: AttachmentQueries,
) -> APIRouter:
    """`POST /v1/complaints/{reference}/{action}`: 202 once the action is durable; the timeline tells what came of it.

    A wrong reference and a wrong access code are answered alike.
    """
    router = APIRouter()
    may_act = Depends(clients.with_scope(ACT))

    def add(name: str, kind: CitizenAction, body: type[FiledAction]) -> None:
        @router.post(
            f"/v1/complaints/{{reference}}/{name}",
            status_code=202,
            response_model=AcceptedAction,
            responses=problems(400, 401, 403, 404, 413, 422),
            operation_id=f"post_{name}",
            summary=(body.__doc__ or "").strip(),
            openapi_extra=body_of(body) | SECURED,
        )
        async def act(
            reference: str,
            request: Request,
            client: Annotated[Client, may_act],
            access_code: Annotated[str, Header()] = "",
            client_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
        ) -> Response:
            headers = limits.of_client(client.id)
            complaint_id = (await credentials.holder(reference, access_code)).complaint_id
            try:
                filed = body.model_validate_json(await request.body())
            except ValidationError as error:
                raise Problem(400, "invalid-request", field_errors(error)) from None
            key = f"{client.id}\n{client_key or secrets.token_hex(16)}"
            given = filed.attachments if isinstance(filed, FiledMessage) else ()
            attachments = await attachable(uploads, given, client, clock.now())
            accepted = action(complaint_id, kind, filed, key, clock.now(), attachments)
            if not await committed(commits, accepted, (client.id, reference)):
                raise Problem(422, "idempotency-key-reused")
            told = {"action_id": accepted.event.id, "action": kind}
            private = {"cache-control": "no-store", **headers}
            return Response(orjson.dumps(told, default=str), 202, private, "application/json")

    for name, (kind, body) in ACTIONS.items():
        add(name, kind, body)
    return router
