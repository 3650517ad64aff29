"""The HTTP API of the classifier: the triage desk, and the preview of a classification."""

import asyncio
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from services.classifier.domain.classification import Model
from services.classifier.domain.triage import HOLD, OfficerDecision, TriageItem
from services.classifier.store.triage import TriageQueue
from shared.contracts.events import MAXIMUM_TEXT
from shared.runtime.clock import Clock
from shared.runtime.problems import Problem

Authorization = Annotated[str, Header()]


class Preview(BaseModel):
    """A text as far as it is typed."""

    text: Annotated[str, Field(max_length=MAXIMUM_TEXT)]


def make_preview_router(model: Model) -> APIRouter:
    """`POST /v1/classify`: where a text would go."""
    router = APIRouter()

    @router.post("/v1/classify")
    async def classify(preview: Preview) -> Response:
        (prediction,) = await asyncio.to_thread(model.predict, [preview.text])
        return _json(
            {
                "decision": "route" if prediction.triage_reason is None else "triage",
                "reason": prediction.triage_reason,
                "administration": prediction.administration,
                "candidates": [candidate.model_dump() for candidate in prediction.candidates],
                "nature": prediction.nature,
                "language": prediction.language,
                "evidence": prediction.evidence,
                "model_version": prediction.model_version,
            }
        )

    return router


def make_triage_router(
    queue: TriageQueue, clock: Clock, officers: Mapping[str, str], hold: timedelta = HOLD
) -> APIRouter:
    """The desk of triage officers, who sign in by bearer token (`officers`: name → token).

    An officer holds one complaint at a time, for ten minutes; a decision goes out after `hold` and can be undone
    until then.
    """
    router = APIRouter()

    def officer_of(authorization: str) -> str:
        for name, token in officers.items():
            if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                return name
        raise Problem(401, "unauthorized", headers={"www-authenticate": "Bearer"})

    @router.get("/v1/triage")
    async def waiting(authorization: Authorization = "") -> Response:
        """How much waits, and since when."""
        officer_of(authorization)
        number, held, oldest = await queue.waiting(clock.now())
        return _json({"waiting": number, "held": held, "oldest_received_at": oldest})

    @router.post("/v1/triage/claims")
    async def claim(authorization: Authorization = "") -> Response:
        """The complaint this officer holds, or the one with the nearest deadline; 204 when none waits."""
        item = await queue.claim(officer_of(authorization), clock.now())
        return Response(status_code=204) if item is None else _json(_shown(item))

    @router.post("/v1/triage/{complaint_id}/decision", status_code=202)
    async def decide(complaint_id: UUID, decision: OfficerDecision, authorization: Authorization = "") -> Response:
        """202 with the moment the decision goes out; 409 when the officer does not hold the complaint."""
        officer, now = officer_of(authorization), clock.now()
        if not await queue.decide(complaint_id, officer, decision, now, now + hold):
            raise Problem(409, "not-yours")
        return _json({"published_at": now + hold}, status=202)

    @router.delete("/v1/triage/{complaint_id}/decision", status_code=204)
    async def undo(complaint_id: UUID, authorization: Authorization = "") -> Response:
        """Takes a decision back; 409 when it went out."""
        if not await queue.undo(complaint_id, officer_of(authorization), clock.now()):
            raise Problem(409, "too-late")
        return Response(status_code=204)

    @router.delete("/v1/triage/{complaint_id}/claim", status_code=204)
    async def release(complaint_id: UUID, authorization: Authorization = "") -> Response:
        """Gives the complaint back to the queue."""
        if not await queue.release(complaint_id, officer_of(authorization)):
            raise Problem(409, "not-yours")
        return Response(status_code=204)

    return router


def _shown(item: TriageItem) -> dict[str, Any]:
    return {
        "complaint_id": item.complaint_id,
        "reference": item.reference,
        "received_at": item.received_at,
        "subject": item.subject,
        "text": item.text,
        "kind": item.kind,
        "nature": item.nature,
        "language": item.language,
        "candidates": [candidate.model_dump() for candidate in item.candidates],
        "evidence": item.evidence,
        "reason": item.reason,
        "model_version": item.model_version,
    }


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, default=str), status, {"cache-control": "no-store"}, "application/json")
