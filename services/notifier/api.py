"""The HTTP API of the notifier: the delivery log, for operations."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Response

from services.notifier.outcomes import RecordOutcomes
from services.notifier.store.deliveries import DeliveryLog, Row
from shared.contracts.reference import parse_reference
from shared.runtime.problems import Problem

_LONGEST_PAGE = 200

State = Literal["due", "sent", "delivered", "failed", "parked"]


def make_router(log: DeliveryLog, outcomes: RecordOutcomes, operations_token: str | None) -> APIRouter:
    """Operations ask by bearer token. No answer holds an address or a message's text."""
    router = APIRouter()

    @router.get("/v1/notifications")
    async def newest(
        state: State | None = None,
        reference: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE)] = 50,
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        """A page of deliveries, newest first, with the cursor of the next; `parked` ones reached nobody."""
        _require_operations(authorization)
        canonical = None if reference is None else parse_reference(reference)
        if reference is not None and canonical is None:
            raise Problem(400, "invalid-request", [("reference", "invalid", {})])
        rows = await log.newest(state, canonical, _cursor(after), limit)
        following = _cursor_text(rows[-1]) if len(rows) == limit else None
        body = {"notifications": [dict(row) for row in rows], "states": await log.counts(), "next": following}
        return _json(200, body)

    @router.post("/v1/notifications/{delivery_id}/resend")
    async def resend(delivery_id: UUID, authorization: Annotated[str, Header()] = "") -> Response:
        """Sends a delivery again as if it were new, to the address the recipient has now."""
        _require_operations(authorization)
        if not await outcomes.resend(delivery_id):
            raise Problem(409, "not-possible-now")
        return _json(202, {"delivery_id": delivery_id})

    def _require_operations(authorization: str) -> None:
        expected = f"Bearer {operations_token}"
        if operations_token is None or not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})

    return router


def _cursor(text: str | None) -> tuple[datetime | None, UUID | None]:
    if text is None:
        return None, None
    try:
        moment, delivery_id = urlsafe_b64decode(text.encode()).decode().split(" ")
        return datetime.fromisoformat(moment), UUID(delivery_id)
    except ValueError:
        raise Problem(400, "invalid-request", [("after", "invalid", {})]) from None


def _cursor_text(row: Row) -> str:
    return urlsafe_b64encode(f"{row['since'].isoformat()} {row['delivery_id']}".encode()).decode()


def _json(status: int, body: Any) -> Response:
    return Response(
        orjson.dumps(body, default=str), status, {"cache-control": "no-store"}, media_type="application/json"
    )
