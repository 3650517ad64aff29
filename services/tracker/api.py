"""The HTTP API of the tracker."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Response

from services.tracker.domain import LONGEST_PAGE, named
from services.tracker.store import Row, TrackerQueries
from shared.contracts.lifecycle import CaseStatus
from shared.contracts.reference import AccessCodes, parse_reference
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem

_SETTLED = timedelta(minutes=1)


def make_router(queries: TrackerQueries, codes: AccessCodes, clock: Clock, operations_token: str | None) -> APIRouter:
    """Citizens ask by reference and access code; operations by bearer token."""
    router = APIRouter()

    @router.get("/v1/complaints/{reference}")
    async def follow(
        reference: str, access_code: Annotated[str, Header(alias="Access-Code", max_length=40)] = ""
    ) -> Response:
        """One complaint; a wrong reference and a wrong code answer alike."""
        canonical = parse_reference(reference)
        row = await queries.by_reference(canonical) if canonical else None
        if row is None or not _matches(row, access_code):
            raise Problem(404, "not-found")
        return _json(_complaint(row, await queries.timeline(row["complaint_id"])))

    @router.get("/v1/complaints")
    async def newest(
        status: CaseStatus | None = None,
        administration: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 50,
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        """A page for operations, newest first, with the cursor of the next."""
        _require_operations(authorization)
        rows = await queries.newest(status, administration, _cursor(after), limit)
        following = _cursor_text(rows[-1]) if len(rows) == limit else None
        return _json({"complaints": [dict(row) for row in rows], "next": following})

    @router.get("/v1/conservation")
    async def conservation(authorization: Annotated[str, Header()] = "") -> Response:
        """Whether every accepted complaint has exactly one state, and which have none."""
        _require_operations(authorization)
        states, accepted, gap = await queries.conservation(clock.now() - _SETTLED)
        whole = not gap and sum(states.values()) == accepted
        return _json({"conserved": whole, "accepted": accepted, "states": states, "gap": gap})

    def _matches(row: Row, typed: str) -> bool:
        return row["access_code_key"] in codes.keys and codes.matches(
            typed, row["complaint_id"], row["access_code_key"], row["access_code_issue"]
        )

    def _require_operations(authorization: str) -> None:
        expected = f"Bearer {operations_token}"
        if operations_token is None or not hmac.compare_digest(authorization.encode(), expected.encode()):
            raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})

    return router


def _complaint(row: Row, timeline: Sequence[Row]) -> dict[str, Any]:
    return {
        "reference": row["reference"],
        "status": row["status"] or CaseStatus.RECEIVED,
        "administration": named(row["administration"]),
        "on_behalf_of": named(row["on_behalf_of"]),
        "since": row["since"] or row["received_at"],
        "received_at": row["received_at"],
        "forward_by": row["forward_by"],
        "answer_by": row["answer_by"],
        "answer": row["answer"],
        "timeline": [
            {"at": entry["happened_at"], "change": entry["change"], "administration": named(entry["administration"])}
            for entry in timeline
        ],
    }


def _cursor(text: str | None) -> tuple[datetime | None, UUID | None]:
    if text is None:
        return None, None
    try:
        moment, complaint_id = urlsafe_b64decode(text.encode()).decode().split(" ")
        return datetime.fromisoformat(moment), UUID(complaint_id)
    except ValueError:
        raise Problem(400, "invalid-request", [("after", "invalid", {})]) from None


def _cursor_text(row: Row) -> str:
    return urlsafe_b64encode(f"{row['received_at'].isoformat()} {row['complaint_id']}".encode()).decode()


def _json(body: Any) -> Response:
    return Response(
        orjson.dumps(body, default=str), headers={"cache-control": "no-store"}, media_type="application/json"
    )
