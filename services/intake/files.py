"""Where the content of attachments is kept, by its SHA-256, and what is looked at before."""

import asyncio
import contextlib
import os
import tempfile
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Protocol

import filetype
import structlog
from PIL import Image, ImageOps

from services.intake.domain.attachments import ALLOWED, IMAGES, AttachmentRefused, Examined

log = structlog.get_logger(__name__)

_MOST_PIXELS = 50_000_000
_SCAN_SECONDS = 30.0
_CLAMD_CHUNK = 65_536


class Files(Protocol):
    """A store of immutable content by SHA-256 in hexadecimal. Another kind of store is another class like this."""

    async def put(self, sha256: str, content: bytes) -> None:
        """Keeps content; durable on return. Keeping it again changes nothing."""
        ...

    async def get(self, sha256: str) -> bytes | None:
        """The content, if it is kept."""
        ...

    async def delete(self, sha256: str, put_before: datetime) -> None:
        """Forgets content that was put, for the last time, before an instant."""
        ...


class Folder:
    """Files in one folder, which all instances of the service must see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, sha256: str, content: bytes) -> None:
        await asyncio.to_thread(self._write, self._path(sha256), content)

    async def get(self, sha256: str) -> bytes | None:
        try:
            return await asyncio.to_thread(self._path(sha256).read_bytes)
        except FileNotFoundError:
            return None

    async def delete(self, sha256: str, put_before: datetime) -> None:
        await asyncio.to_thread(self._unlink, self._path(sha256), put_before.timestamp())

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _unlink(self, path: Path, put_before: float) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < put_before:
                path.unlink()

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
        for folder in (path.parent, self._folder):
            _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Makes a name in a folder durable, as fsync of the file makes its content."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class Scanner(Protocol):
    """Looks for malicious content."""

    async def is_clean(self, content: bytes) -> bool | None:
        """None when it could not be looked at."""
        ...


class NoScanner:
    """Looks at nothing: attachments are marked as not scanned."""

    async def is_clean(self, content: bytes) -> bool | None:
        return None


class Clamd:
    """ClamAV's daemon over TCP (command INSTREAM). Away or overloaded, it leaves attachments not scanned."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def is_clean(self, content: bytes) -> bool | None:
        try:
            async with asyncio.timeout(_SCAN_SECONDS):
                verdict = await self._ask(content)
        except OSError as error:
            log.warning("scanner_away", error=repr(error))
            return None
        if verdict.endswith(b" FOUND"):
            return False
        if verdict.endswith(b": OK"):
            return True
        log.warning("scanner_failed", verdict=verdict.decode("utf-8", "replace"))
        return None

    async def _ask(self, content: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(b"zINSTREAM\0")
            for start in range(0, len(content), _CLAMD_CHUNK):
                chunk = content[start : start + _CLAMD_CHUNK]
                writer.write(len(chunk).to_bytes(4, "big") + chunk)
                await writer.drain()
            writer.write(bytes(4))
            return (await reader.read(4_096)).rstrip(b"\0\n")
        finally:
            writer.close()


class Examination:
    """Everything that happens to content before it is kept. One image is decoded at a time, to bound memory."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._decoding = asyncio.Semaphore(1)

    async def of(self, content: bytes) -> Examined:
        """The content as it may be kept. Raises AttachmentRefused."""
        kind = filetype.guess(content)
        media_type = "" if kind is None else str(kind.mime)
        if media_type not in ALLOWED:
            raise AttachmentRefused("type")
        clean = await self._scanner.is_clean(content)
        if clean is False:
            raise AttachmentRefused("infected")
        if media_type in IMAGES:
            async with self._decoding:
                content = await asyncio.to_thread(_encoded_anew, content, media_type)
        return Examined(content, media_type, scanned=clean is True)


def _encoded_anew(content: bytes, media_type: str) -> bytes:
    """The picture alone: the right way up, without EXIF, GPS, comments and whatever else was in the file."""
    name = IMAGES[media_type]
    try:
        with Image.open(BytesIO(content), formats=[name]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise AttachmentRefused("unreadable")
            upright = ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise AttachmentRefused("unreadable") from error
    upright.info = {}
    plain = BytesIO()
    upright.save(plain, name, **({"quality": 85} if name != "PNG" else {}))
    return plain.getvalue()
