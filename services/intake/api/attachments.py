"""Attachments: resumable uploads by tus 1.0 (https://tus.io/protocols/resumable-upload), and fetching them again.

Extensions: creation, checksum (sha256), expiration, termination.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Annotated
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.requests import ClientDisconnect

from services.intake.api.credentials import Credentials
from services.intake.api.documentation import SECURED, AttachmentList, binary, problems
from services.intake.attachment_store import AttachmentQueries
from services.intake.clients import FILE, Clients
from services.intake.domain.attachments import (
    CHECKSUMS,
    LIFETIME,
    MAXIMUM_CHECKED_PART,
    MAXIMUM_SIZE,
    AttachmentRefused,
    Upload,
    checksum_matches,
)
from services.intake.files import Examination, Files
from services.intake.limits import Limits
from shared.contracts.events import Attachment
from shared.runtime.access_tokens import Client
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat
from shared.runtime.problems import Problem

PATH = "/v1/attachments"

_VERSION = "1.0.0"
_TUS = {"tus-resumable": _VERSION, "cache-control": "no-store"}
_OFFERED = {
    "tus-version": _VERSION,
    "tus-extension": "creation,checksum,expiration,termination",
    "tus-max-size": str(MAXIMUM_SIZE),
    "tus-checksum-algorithm": ",".join(CHECKSUMS),
}
_LATE = timedelta(hours=1)
_CLEAN_SECONDS = 600.0
_PART = 512 * 1024
_PART_BODY = {"requestBody": {"required": True, "content": binary("application/offset+octet-stream")}}
_REFUSED = {"type": 415, "unreadable": 415, "infected": 422}

Length = Annotated[int | None, Header(alias="Upload-Length", ge=1)]
Version = Annotated[str, Header(alias="Tus-Resumable")]
Offset = Annotated[int, Header(alias="Upload-Offset", ge=0)]


class Uploads:
    """What happens to the bytes of uploads."""

    def __init__(self, queries: AttachmentQueries, files: Files, examination: Examination, clock: Clock) -> None:
        self.queries = queries
        self.clock = clock
        self._files = files
        self._examination = examination

    async def append(self, upload: Upload, parts: AsyncIterator[bytes]) -> int:
        """The new offset. What arrived before a client was cut off is kept. Raises a Problem."""
        offset = upload.received
        async for part in parts:
            if offset + len(part) > upload.length:
                raise Problem(413, "body-too-large", headers=_TUS)
            if not await self.queries.append(upload.upload_id, offset, part):
                raise Problem(409, "upload-conflict", headers=_TUS)
            offset += len(part)
        if offset == upload.length:
            await self._finish(upload)
        return offset

    async def clean(self, stopping: asyncio.Event) -> None:
        """Forgets, until `stopping` is set, uploads that nobody attached in time.

        An hour after their time: a filing that was about to attach one is long done. A file that was put again since
        is another upload's, about to be finished.
        """

        async def work() -> bool:
            late = self.clock.now() - _LATE
            unused = await self.queries.drop_expired(late)
            for sha256 in unused:
                await self._files.delete(sha256, put_before=late)
            return bool(unused)

        await repeat(work, _CLEAN_SECONDS, stopping)

    async def _finish(self, upload: Upload) -> None:
        content = await self.queries.content(upload.upload_id)
        try:
            examined = await self._examination.of(content)
        except AttachmentRefused as error:
            await self.queries.drop(upload.upload_id)
            kind = f"attachment-{error.reason}"
            raise Problem(_REFUSED[error.reason], kind, headers=_TUS) from error
        await self._files.put(examined.sha256, examined.content)
        await self.queries.finish(upload.upload_id, examined)


def make_uploads_router(uploads: Uploads, clients: Clients, limits: Limits) -> APIRouter:
    """`/v1/attachments`. The last part of the `Location` is what a filing's or message's `attachments` names."""
    router = APIRouter()
    may_upload = Depends(clients.with_scope(FILE))
    uploader = Annotated[Client, may_upload]

    @router.options(PATH, status_code=204, response_class=Response)
    async def offer() -> Response:
        return Response(status_code=204, headers=_TUS | _OFFERED)

    @router.post(
        PATH,
        status_code=201,
        response_class=Response,
        responses=problems(400, 401, 403, 412, 413),
        openapi_extra=SECURED,
    )
    async def create(client: uploader, tus_resumable: Version = "", upload_length: Length = None) -> Response:
        _require_version(tus_resumable)
        headers = limits.of_client(client.id)
        if upload_length is None:
            raise Problem(400, "invalid-request", [("Upload-Length", "missing", {})], headers=_TUS)
        if upload_length > MAXIMUM_SIZE:
            raise Problem(413, "body-too-large", headers=_TUS)
        upload = Upload(uuid4(), client.id, upload_length, 0, uploads.clock.now() + LIFETIME)
        await uploads.queries.create(upload)
        return Response(status_code=201, headers=headers | _state(upload) | {"location": f"{PATH}/{upload.upload_id}"})

    @router.head(
        PATH + "/{upload_id}",
        response_class=Response,
        responses=problems(400, 401, 403, 404, 410, 412),
        openapi_extra=SECURED,
    )
    async def state(upload_id: UUID, client: uploader, tus_resumable: Version = "") -> Response:
        _require_version(tus_resumable)
        return Response(headers=_state(await _upload(upload_id, client)))

    @router.patch(
        PATH + "/{upload_id}",
        status_code=204,
        response_class=Response,
        responses=problems(400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 422, 460),
        openapi_extra=_PART_BODY | SECURED,
    )
    async def append(
        upload_id: UUID,
        client: uploader,
        request: Request,
        upload_offset: Offset,
        content_type: Annotated[str, Header(include_in_schema=False)] = "",
        upload_checksum: Annotated[str | None, Header()] = None,
        tus_resumable: Version = "",
    ) -> Response:
        _require_version(tus_resumable)
        if content_type != "application/offset+octet-stream":
            raise Problem(415, "attachment-type", headers=_TUS)
        upload = await _upload(upload_id, client)
        if upload.received != upload_offset:
            raise Problem(409, "upload-conflict", headers=_TUS)
        if upload.sha256 is None:
            parts = _parts(request) if upload_checksum is None else _checked(request, upload_checksum)
            offset = await uploads.append(upload, parts)
        else:
            offset = upload.received
        return Response(status_code=204, headers=_state(upload) | {"upload-offset": str(offset)})

    @router.delete(
        PATH + "/{upload_id}",
        status_code=204,
        response_class=Response,
        responses=problems(400, 401, 403, 404, 410, 412),
        openapi_extra=SECURED,
    )
    async def terminate(upload_id: UUID, client: uploader, tus_resumable: Version = "") -> Response:
        _require_version(tus_resumable)
        await uploads.queries.drop((await _upload(upload_id, client)).upload_id)
        return Response(status_code=204, headers=_TUS)

    async def _upload(upload_id: UUID, client: Client) -> Upload:
        upload = await uploads.queries.get(upload_id, client.id)
        if upload is None:
            raise Problem(404, "not-found", headers=_TUS)
        if upload.expires_at < uploads.clock.now():
            raise Problem(410, "not-found", headers=_TUS)
        return upload

    return router


async def attachable(
    queries: AttachmentQueries, upload_ids: Sequence[UUID], client: Client, now: datetime
) -> list[Attachment]:
    """The attachments that a client's finished uploads are. Raises a 400 Problem that names `attachments`."""
    if not upload_ids:
        return []
    finished = await queries.finished(upload_ids, client.id, now)
    if any(upload_id not in finished for upload_id in upload_ids):
        raise Problem(400, "invalid-request", [("attachments", "unknown_attachment", {})])
    return list({finished[one].sha256: finished[one] for one in upload_ids}.values())


def make_attachments_router(queries: AttachmentQueries, files: Files, credentials: Credentials) -> APIRouter:
    """What is attached to a complaint, for whoever has its access code."""
    router = APIRouter()

    @router.get("/v1/complaints/{reference}/attachments", response_model=AttachmentList, responses=problems(404))
    async def every(reference: str, access_code: Annotated[str, Header()] = "") -> Response:
        """Hash, type, size, and whether a scanner found it clean, of each attachment."""
        stored = await credentials.holder(reference, access_code)
        attached = [one.model_dump() for one in await queries.of_complaint(stored.complaint_id)]
        body = orjson.dumps({"attachments": attached})
        return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")

    @router.get(
        "/v1/complaints/{reference}/attachments/{sha256}",
        response_class=Response,
        responses=problems(404) | {200: {"content": binary("*/*")}},
    )
    async def one(reference: str, sha256: str, access_code: Annotated[str, Header()] = "") -> Response:
        """The content; browsers are told to save it and to trust nothing in it."""
        stored = await credentials.holder(reference, access_code)
        attached = {one.sha256: one for one in await queries.of_complaint(stored.complaint_id)}
        content = await files.get(sha256) if sha256 in attached else None
        if content is None:
            raise Problem(404, "not-found")
        safely = {
            "cache-control": "private, no-store",
            "content-disposition": "attachment",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
        }
        return Response(content, headers=safely, media_type=attached[sha256].media_type)

    return router


def _require_version(version: str) -> None:
    if version != _VERSION:
        raise Problem(412, "upload-version", headers={"tus-version": _VERSION})


def _state(upload: Upload) -> dict[str, str]:
    return _TUS | {
        "upload-offset": str(upload.received),
        "upload-length": str(upload.length),
        "upload-expires": format_datetime(upload.expires_at, usegmt=True),
    }


async def _parts(request: Request) -> AsyncIterator[bytes]:
    """The body in parts, up to where the client went away."""
    waiting = bytearray()
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _PART:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _checked(request: Request, checksum: str) -> AsyncIterator[bytes]:
    """The whole body, once it is known to be what was sent."""
    whole = bytearray()
    async for chunk in request.stream():
        whole += chunk
        if len(whole) > MAXIMUM_CHECKED_PART:
            raise Problem(413, "body-too-large", headers=_TUS)
    try:
        matches = checksum_matches(checksum, bytes(whole))
    except ValueError:
        raise Problem(400, "invalid-request", [("Upload-Checksum", "invalid", {})], headers=_TUS) from None
    if not matches:
        raise Problem(460, "checksum-mismatch", headers=_TUS)
    if whole:
        yield bytes(whole)
