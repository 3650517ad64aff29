"""Receipts again, and the public keys to check them with."""

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Response

from services.intake.api.credentials import Credentials
from services.intake.api.documentation import (
    SECURED,
    KnownReceipt,
    PublicKeySet,
    ReceiptAgain,
    binary,
    content_of,
    problems,
)
from services.intake.clients import VERIFY, Clients
from services.intake.receipts import Receipts
from services.intake.store import IntakeQueries
from shared.contracts.reference import parse_reference
from shared.runtime.problems import Problem

_PDF = "application/pdf"
_KEY_SET = "application/jwk-set+json"
_RENDERINGS_AT_ONCE = 2


def make_receipts_router(
    queries: IntakeQueries, credentials: Credentials, receipts: Receipts, clients: Clients
) -> APIRouter:
    """`GET /v1/complaints/{reference}/receipt`, as JSON or, when asked for, as PDF; `GET /v1/keys`;
    `GET /v1/receipts/{reference}` for an agent who is read a reference on the telephone.
    """
    router = APIRouter()
    may_verify = Depends(clients.with_scope(VERIFY))
    rendering = asyncio.Semaphore(_RENDERINGS_AT_ONCE)

    @router.get(
        "/v1/complaints/{reference}/receipt",
        response_model=ReceiptAgain,
        responses=problems(404) | {200: {"content": binary(_PDF)}},
    )
    async def receipt(
        reference: str,
        access_code: Annotated[str, Header()] = "",
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """The receipt, for whoever has the access code; `Accept: application/pdf` for the printed one."""
        stored = await credentials.holder(reference, access_code)
        private = {"cache-control": "no-store", "vary": "accept"}
        if _PDF in accept.lower():
            async with rendering:
                printed = await asyncio.to_thread(receipts.printed, stored)
            named = {"content-disposition": f'attachment; filename="chikaya-{stored.reference}.pdf"'}
            return Response(printed, headers=private | named, media_type=_PDF)
        body = {
            "id": stored.complaint_id,
            "reference": stored.reference,
            "received_at": stored.received_at,
            "receipt": receipts.signed(stored),
        }
        return Response(orjson.dumps(body, default=str), headers=private, media_type="application/json")

    @router.get(
        "/v1/receipts/{reference}",
        dependencies=[may_verify],
        response_model=KnownReceipt,
        responses=problems(401, 403, 404),
        openapi_extra=SECURED,
    )
    async def verify(reference: str) -> Response:
        """Whether there is such a receipt and when it was given; nothing of what was filed."""
        canonical = parse_reference(reference)
        stored = None if canonical is None else await queries.by_reference(canonical)
        if stored is None:
            raise Problem(404, "not-found")
        body = {"reference": stored.reference, "received_at": stored.received_at}
        return Response(orjson.dumps(body), headers={"cache-control": "no-store"}, media_type="application/json")

    @router.get("/v1/keys", response_class=Response, responses={200: {"content": content_of(PublicKeySet, _KEY_SET)}})
    async def keys() -> Response:
        """The public keys (RFC 7517), old ones too."""
        hour = {"cache-control": "public, max-age=3600"}
        return Response(orjson.dumps(receipts.key_set), headers=hour, media_type=_KEY_SET)

    return router
