"""Attachments: resumed where they were cut off, known by content, without places, and only for who may."""

import asyncio
import os
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from starlette.requests import ClientDisconnect

from services.intake.attachment_store import AttachmentQueries
from services.intake.files import Folder
from services.intake.settings import IntakeSettings
from shared.database.pool import Database

Serve = Callable[[IntakeSettings], AbstractAsyncContextManager[httpx.AsyncClient]]
FILING = {"subject": "Hôpital", "text": "Aucun médecin", "channel": "web"}
TUS = {"Tus-Resumable": "1.0.0"}
PATCH = TUS | {"Content-Type": "application/offset+octet-stream"}
PDF = b"%PDF-1.7\n" + bytes(1000)
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def photo(name: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture with the place where it was taken, lying on its side."""
    image = Image.new("RGB", size, "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker of the camera"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (33.0, 58.0, 0.0)
    file = BytesIO()
    image.save(file, name, exif=exif)
    return file.getvalue()


async def begun(client: httpx.AsyncClient, length: int) -> str:
    answer = await client.post("/v1/attachments", headers=TUS | {"Upload-Length": str(length)})
    assert answer.status_code == 201
    return answer.headers["location"]


async def sent(client: httpx.AsyncClient, location: str, offset: int, content: Any, **more: str) -> httpx.Response:
    return await client.patch(location, content=content, headers=PATCH | {"Upload-Offset": str(offset)} | more)


async def uploaded(client: httpx.AsyncClient, content: bytes) -> str:
    """The id of a finished upload."""
    location = await begun(client, len(content))
    answer = await sent(client, location, 0, content)
    assert answer.status_code == 204, answer.text
    return location.rpartition("/")[2]


async def test_the_server_says_what_it_offers(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/attachments")
    assert answer.status_code == 204 and answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {"creation", "checksum", "expiration", "termination"}
    assert answer.headers["tus-max-size"] == str(20 * 1024 * 1024)


async def test_an_upload_goes_on_where_it_was_cut_off(client: httpx.AsyncClient) -> None:
    content = b"%PDF-1.7\n" + os.urandom(1_500_000)
    location = await begun(client, len(content))

    async def cut_off() -> AsyncIterator[bytes]:
        yield content[:700_000]
        raise ClientDisconnect

    await sent(client, location, 0, cut_off())
    state = await client.head(location, headers=TUS)
    offset = int(state.headers["upload-offset"])
    assert offset == 700_000 and state.headers["upload-length"] == str(len(content))
    assert state.headers["cache-control"] == "no-store" and "upload-expires" in state.headers
    last = await sent(client, location, offset, content[offset:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(content)))
    filed = await client.post("/v1/complaints", json=FILING | {"attachments": [location.rpartition("/")[2]]})
    receipt = filed.json()
    code = {"Access-Code": receipt["access_code"]}
    path = f"/v1/complaints/{receipt['reference']}/attachments"
    assert (await client.get(f"{path}/{sha256(content).hexdigest()}", headers=code)).content == content


async def test_parts_come_once_and_in_order(client: httpx.AsyncClient) -> None:
    location = await begun(client, 1009)
    assert (await sent(client, location, 5, b"x")).status_code == 409
    answers = await asyncio.gather(*(sent(client, location, 0, PDF[:500]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409, 409]
    assert (await sent(client, location, 500, PDF[500:] + b"x")).status_code == 413
    assert (await sent(client, location, 500, PDF[500:])).status_code == 204
    assert (await sent(client, location, 1009, b"")).status_code == 204


async def test_a_part_with_a_wrong_checksum_is_not_kept(client: httpx.AsyncClient) -> None:
    location = await begun(client, len(PDF))
    right = b64encode(sha256(PDF).digest()).decode()
    wrong = await sent(client, location, 0, PDF[:-1] + b"x", **{"Upload-Checksum": f"sha256 {right}"})
    assert wrong.status_code == 460
    assert (await client.head(location, headers=TUS)).headers["upload-offset"] == "0"
    for malformed in ("md5 AAAA", "sha256 ***", ""):
        assert (await sent(client, location, 0, PDF, **{"Upload-Checksum": malformed})).status_code == 400
    assert (await sent(client, location, 0, PDF, **{"Upload-Checksum": f"sha256 {right}"})).status_code == 204


async def test_the_rules_of_the_protocol(client: httpx.AsyncClient) -> None:
    location = await begun(client, 10)
    assert (await client.post("/v1/attachments", headers={"Upload-Length": "10"})).status_code == 412
    assert (await client.post("/v1/attachments", headers=TUS)).status_code == 400
    assert (await client.post("/v1/attachments", headers=TUS | {"Upload-Length": "-1"})).status_code == 400
    assert (await client.post("/v1/attachments", headers=TUS | {"Upload-Length": "20971521"})).status_code == 413
    assert (await client.patch(location, content=b"x", headers=TUS | {"Upload-Offset": "0"})).status_code == 415
    assert (await client.head(f"/v1/attachments/{uuid4()}", headers=TUS)).status_code == 404
    assert (await client.delete(location, headers=TUS)).status_code == 204
    assert (await client.head(location, headers=TUS)).status_code == 404


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_no_longer_tells_where_it_was_taken(client: httpx.AsyncClient, name: str) -> None:
    receipt = (
        await client.post("/v1/complaints", json=FILING | {"attachments": [await uploaded(client, photo(name))]})
    ).json()
    code = {"Access-Code": receipt["access_code"]}
    path = f"/v1/complaints/{receipt['reference']}/attachments"
    [attachment] = (await client.get(path, headers=code)).json()["attachments"]
    answer = await client.get(f"{path}/{attachment['sha256']}", headers=code)
    assert sha256(answer.content).hexdigest() == attachment["sha256"] and len(answer.content) == attachment["size"]
    assert answer.headers["content-type"] == attachment["media_type"] == f"image/{name.lower()}"
    assert answer.headers["x-content-type-options"] == "nosniff" and attachment["scanned"] is False
    with Image.open(BytesIO(answer.content)) as image:
        assert image.size == (30, 40) and not image.getexif()
    assert b"Maker of the camera" not in answer.content


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<html><script>alert(1)</script></html>", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"PK\x03\x04" + zlib.compress(bytes(5_000_000)), 415),
        (b"MZ" + bytes(500), 415),
        (b"plain words", 415),
        (b"\xff\xd8\xff\xe0" + bytes(100), 415),
        (photo()[:-200], 415),
    ],
)
async def test_what_it_is_called_does_not_count(client: httpx.AsyncClient, content: bytes, status: int) -> None:
    location = await begun(client, len(content))
    answer = await sent(client, location, 0, content)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert (await client.head(location, headers=TUS)).status_code == 404


async def test_a_picture_that_would_fill_the_memory_is_refused(client: httpx.AsyncClient) -> None:
    """20,000 by 20,000 points in a few kilobytes: refused by its header, not decoded."""
    header = b"\0\0N \0\0N \x08\x02\0\0\0"
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000), 9)), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )
    answer = await sent(client, await begun(client, len(bomb)), 0, bomb)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (415, "attachment-unreadable")


async def test_only_finished_uploads_of_the_client_are_attached(client: httpx.AsyncClient) -> None:
    unfinished = (await begun(client, 10)).rpartition("/")[2]
    for wrong in ([unfinished], [str(uuid4())], [await uploaded(client, PDF), unfinished], ["x"]):
        answer = await client.post("/v1/complaints", json=FILING | {"attachments": wrong})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"].startswith("attachments")


async def test_attachments_travel_with_the_event_and_are_for_the_holder_of_the_code(
    client: httpx.AsyncClient, database: Database
) -> None:
    first, second = await uploaded(client, PDF), await uploaded(client, PDF + b"2")
    receipt = (await client.post("/v1/complaints", json=FILING | {"attachments": [first, first]})).json()
    code = {"Access-Code": receipt["access_code"]}
    path = f"/v1/complaints/{receipt['reference']}"
    message = {"text": "Encore une page", "attachments": [second]}
    assert (await client.post(f"{path}/messages", json=message, headers=code)).status_code == 202
    values = [row["value"].decode() for row in await database.fetch("SELECT value FROM outbox ORDER BY id")]
    for value, content in zip(values, (PDF, PDF + b"2"), strict=True):
        assert sha256(content).hexdigest() in value and '"media_type":"application/pdf"' in value
    listed = (await client.get(f"{path}/attachments", headers=code)).json()["attachments"]
    assert {one["sha256"] for one in listed} == {sha256(PDF).hexdigest(), sha256(PDF + b"2").hexdigest()}
    other = (await client.post("/v1/complaints", json=FILING)).json()
    stranger = {"Access-Code": other["access_code"]}
    for reference, given in ((receipt["reference"], stranger), (other["reference"], stranger)):
        asked = f"/v1/complaints/{reference}/attachments/{sha256(PDF).hexdigest()}"
        assert (await client.get(asked, headers=given)).status_code == 404


async def test_the_same_filing_with_attachments_is_accepted_once(client: httpx.AsyncClient) -> None:
    body = FILING | {"attachments": [await uploaded(client, PDF)]}
    answers = [await client.post("/v1/complaints", json=body, headers={"Idempotency-Key": "a"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    without = await client.post("/v1/complaints", json=FILING, headers={"Idempotency-Key": "a"})
    assert without.status_code == 422


@asynccontextmanager
async def clamd() -> AsyncIterator[str]:
    """What ClamAV's daemon says over INSTREAM; the one signature it has is EICAR's."""

    async def instream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        content = b""
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            content += await reader.readexactly(size)
        writer.write(b"stream: Eicar-Signature FOUND\0" if EICAR in content else b"stream: OK\0")
        writer.close()

    async with await asyncio.start_server(instream, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_scanner_is_asked_when_there_is_one(serve: Serve, settings: IntakeSettings) -> None:
    async with clamd() as address, serve(settings.model_copy(update={"clamd": address})) as client:
        infected = PDF + EICAR
        answer = await sent(client, await begun(client, len(infected)), 0, infected)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "attachment-infected")
        receipt = (
            await client.post("/v1/complaints", json=FILING | {"attachments": [await uploaded(client, PDF)]})
        ).json()
        path = f"/v1/complaints/{receipt['reference']}/attachments"
        [attachment] = (await client.get(path, headers={"Access-Code": receipt["access_code"]})).json()["attachments"]
        assert attachment["scanned"] is True


async def test_a_scanner_that_is_away_leaves_a_mark_and_stops_nobody(serve: Serve, settings: IntakeSettings) -> None:
    async with serve(settings.model_copy(update={"clamd": "127.0.0.1:1"})) as client:
        assert await uploaded(client, PDF)


async def test_uploads_nobody_attached_are_forgotten_and_attached_ones_kept(
    client: httpx.AsyncClient, database: Database, settings: IntakeSettings
) -> None:
    kept = UUID(await uploaded(client, PDF))
    await uploaded(client, PDF + b"2")
    await client.post("/v1/complaints", json=FILING | {"attachments": [str(kept)]})
    folder = settings.attachments_folder
    assert len(files(folder)) == 2
    queries = AttachmentQueries(database)
    late = datetime.now(UTC) + timedelta(days=2)
    unused = await queries.drop_expired(late)
    assert unused == [sha256(PDF + b"2").hexdigest()]
    await Folder(folder).delete(unused[0], put_before=datetime.now(UTC) - timedelta(hours=1))
    assert len(files(folder)) == 2, "it was put a moment ago: perhaps for another upload"
    await Folder(folder).delete(unused[0], put_before=late)
    assert files(folder) == [sha256(PDF).hexdigest()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
