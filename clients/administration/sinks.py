"""Where events go: a folder, a SQLite database, or a webhook. A sink returns when the event is safe there."""

import asyncio
import hmac
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import httpx
import orjson
import structlog

from clients.administration.journal import Journal

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
SIGNATURE = "Chikaya-Signature"


@dataclass(frozen=True, slots=True)
class Received:
    """A verified CloudEvent. `attributes` are its `ce_` attributes without the prefix, `data` its UTF-8 JSON."""

    topic: str
    offset: int
    attributes: dict[str, str]
    data: bytes

    @property
    def id(self) -> str:
        return self.attributes["id"]


class Sink(Protocol):
    """May be given an event again after a crash, and must then do no harm."""

    async def deliver(self, event: Received) -> None:
        """Returns when the event is safe; waits and tries again as long as that may help."""


class Folder:
    """One file `<offset>-<id>.json` per event: the whole CloudEvent in the JSON format."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, event: Received) -> None:
        await asyncio.to_thread(self._write, event)

    def _write(self, event: Received) -> None:
        folder = self._folder / event.topic
        folder.mkdir(parents=True, exist_ok=True)
        # An id is a sender's word: only its harmless characters name a file.
        name = "".join(character for character in event.id if character.isalnum() or character == "-")
        file = folder / f"{event.offset:012d}-{name[:64]}.json"
        partial = file.with_suffix(".partial")
        partial.write_bytes(orjson.dumps({**event.attributes, "data": orjson.Fragment(event.data)}))
        partial.replace(file)


class Sqlite:
    """Rows of the table `events` in the journal's own database, each once: one transaction with the place."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database

    async def deliver(self, event: Received) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                event.id,
                event.attributes["type"],
                event.attributes["subject"],
                event.attributes["time"],
                event.data.decode(),
                event.topic,
                event.offset,
            ),
        )


class Webhook:
    """POSTs each event (CloudEvents over HTTP, binary mode), signed, until the receiver answers 2xx.

    The header `Chikaya-Signature: t=<Unix seconds>,v1=<hex>` holds the HMAC-SHA-256 of `<t>.<body>` under the
    shared secret; check it with `signature_is_valid`. The receiver drops repeats by `ce-id`.
    """

    def __init__(self, url: str, secret: bytes, client: httpx.AsyncClient) -> None:
        self._url = url
        self._secret = secret
        self._client = client

    async def deliver(self, event: Received) -> None:
        pause = _FIRST_PAUSE
        while not await self._accepted(event):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _accepted(self, event: Received) -> bool:
        headers = {f"ce-{name}": value for name, value in event.attributes.items() if name != "datacontenttype"}
        headers["content-type"] = "application/json; charset=utf-8"
        headers[SIGNATURE] = signature(self._secret, event.data, int(time.time()))
        try:
            answer = await self._client.post(self._url, content=event.data, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook_not_reached", event_id=event.id, error=repr(error))
            return False
        if not answer.is_success:
            log.warning("webhook_refused", event_id=event.id, status=answer.status_code)
        return answer.is_success


def signature(secret: bytes, body: bytes, at: int) -> str:
    """The value of the signature header at a moment (Unix seconds)."""
    return f"t={at},v1={hmac.digest(secret, f'{at}.'.encode() + body, sha256).hex()}"


def signature_is_valid(secret: bytes, body: bytes, header: str, now: int, tolerance: int = 300) -> bool:
    """Whether the body was signed with the secret at most `tolerance` seconds from `now`."""
    moment = header.partition(",")[0].removeprefix("t=")
    if not (moment.isascii() and moment.isdigit()) or abs(now - int(moment)) > tolerance:
        return False
    return hmac.compare_digest(header.encode(), signature(secret, body, int(moment)).encode())
