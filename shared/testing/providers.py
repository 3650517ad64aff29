"""An SMSC and an SMTP server that tests tell how to misbehave, and that keep what they accepted.

The SMSC speaks SMPP 3.4 on its own: only the bodies of PDUs are read and written with the library of the channel.
"""

import asyncio
import contextlib
import re
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from itertools import count
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from smpp34 import DeliverSm, SubmitSm, Tlv, decode

Misbehaviour = str | None
"""`hold` answers never; `drop` closes before accepting; `lose` accepts and closes without an answer; a number in
decimal is the status to refuse with; None behaves."""

Script = Callable[[int], Misbehaviour]
"""What to do with the n-th message since the server began, from 1."""

_HEADER = struct.Struct("!IIII")
_RESPONSE = 0x80000000
_BINDS = (1, 2, 9)
_SUBMIT, _ENQUIRE, _UNBIND, _DELIVER = 4, 0x15, 6, 5
_UNKNOWN_TLV = struct.pack("!HH3s", 0x1500, 3, b"abc")
_SAR = (0x020C, 0x020E, 0x020F)


def behave(number: int) -> Misbehaviour:
    """The script of a good server."""
    return None


@dataclass
class TestSmsc:
    """An SMSC on a free port of 127.0.0.1. `receipts`: whether what it accepts is receipted as delivered at once."""

    __test__ = False

    script: Script = behave
    receipts: bool = True
    undeliverable: frozenset[str] = frozenset()
    """Numbers whose receipts say UNDELIV."""
    refused: frozenset[str] = frozenset()
    """Numbers that are answered ESME_RINVDSTADR."""
    answer_after: float = 0.0
    port: int = 0
    submitted: int = 0
    reached: set[str] = field(default_factory=set)
    """Numbers that a part was accepted for."""
    lost_answers: int = 0
    """How many parts were accepted without the client hearing of it."""
    _accepted: list[tuple[str, int, int, int, str]] = field(default_factory=list)
    _sequence: Iterator[int] = field(default_factory=lambda: count(1))
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _background: set["asyncio.Task[None]"] = field(default_factory=set)

    async def start(self) -> None:
        """Listens; on the same port again after a stop."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Closes all connections and listens no more."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    def messages(self) -> Counter[tuple[str, str]]:
        """(number, whole text) of the messages of which every part arrived → how often."""
        groups: dict[tuple[str, int, int], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for to, reference, total, number, text in self._accepted:
            groups[to, reference, total][number].append(text)
        found: Counter[tuple[str, str]] = Counter()
        for (to, _, total), parts in groups.items():
            if set(parts) == set(range(1, total + 1)):
                found[to, "".join(parts[n][0] for n in range(1, total + 1))] += max(map(len, parts.values()))
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(_HEADER.size)
                length, command, _, sequence = _HEADER.unpack(head)
                body = await reader.readexactly(length - _HEADER.size)
                if command == _SUBMIT:
                    submitted = decode(head + body)
                    assert isinstance(submitted, SubmitSm)
                    if not self._submit(writer, submitted, sequence):
                        break
                elif command in _BINDS:
                    _answer(writer, command, 0, sequence, b"SMSC\0" + _UNKNOWN_TLV)
                elif command in (_ENQUIRE, _UNBIND):
                    _answer(writer, command, 0, sequence)
        self._writers.discard(writer)
        writer.close()

    def _submit(self, writer: asyncio.StreamWriter, message: SubmitSm, sequence: int) -> bool:
        """Whether to keep the connection."""
        self.submitted += 1
        misbehaviour = "11" if message.destination_addr in self.refused else self.script(self.submitted)
        if misbehaviour == "drop":
            return False
        if misbehaviour is not None and misbehaviour.isdigit():
            _answer(writer, _SUBMIT, int(misbehaviour), sequence)
            return True
        if misbehaviour == "hold":
            return True
        self._accepted.append(_part(message))
        self.reached.add(message.destination_addr)
        if misbehaviour == "lose":
            self.lost_answers += 1
            writer.write(_HEADER.pack(24, _SUBMIT | _RESPONSE, 0, sequence) + b"ha")
            return False
        self._later(self._accept(writer, message, sequence, f"m{self.submitted}"))
        return True

    async def _accept(self, writer: asyncio.StreamWriter, message: SubmitSm, sequence: int, provider_id: str) -> None:
        await asyncio.sleep(self.answer_after)
        if writer.transport.is_closing():
            self.lost_answers += 1
            return
        _answer(writer, _SUBMIT, 0, sequence, provider_id.encode() + b"\0" + _UNKNOWN_TLV)
        if self.receipts:
            to = message.destination_addr
            state = "UNDELIV" if to in self.undeliverable else "DELIVRD"
            text = (
                f"id:{provider_id} sub:001 dlvrd:001 submit date:2603021200 done date:2603021200 stat:{state} err:000"
            )
            tlvs = [Tlv(0x1500, b"abc"), Tlv(0x3FFF, b"")]
            receipt = DeliverSm(
                to, message.source_addr, text.encode(), esm_class=4, tlvs=tlvs, sequence_number=sequence
            )
            writer.write(receipt.encode())

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _answer(writer: asyncio.StreamWriter, command: int, status: int, sequence: int, body: bytes = b"") -> None:
    writer.write(_HEADER.pack(_HEADER.size + len(body), command | _RESPONSE, status, sequence) + body)


def _part(message: SubmitSm) -> tuple[str, int, int, int, str]:
    """(number, reference, parts in all, which part, text), by user data header or sar_* parameters."""
    text = message.short_message
    if message.esm_class & 0x40:
        reference, total, number = text[3:6]
        return message.destination_addr, reference, total, number, text[6:].decode("utf-16-be")
    tlvs = {tlv.tag: int.from_bytes(tlv.value, "big") for tlv in message.tlvs}
    reference, total, number = (tlvs.get(tag, default) for tag, default in zip(_SAR, (0, 1, 1), strict=True))
    return message.destination_addr, reference, total, number, text.decode("utf-16-be")


@dataclass
class TestSmtp:
    """An SMTP server on a free port of 127.0.0.1; it misbehaves when the data of a mail is there.

    A status of 500 or more as misbehaviour refuses for good, one below for now.
    """

    __test__ = False

    script: Script = behave
    refused: frozenset[str] = frozenset()
    """Addresses that RCPT answers 550 to."""
    answer_after: float = 0.0
    port: int = 0
    received: int = 0
    lost_answers: int = 0
    raw: list[bytes] = field(default_factory=list)
    """What was accepted, as it came."""
    _server: asyncio.Server | None = None
    _transports: set[asyncio.BaseTransport] = field(default_factory=set)

    async def start(self) -> None:
        """Listens; on the same port again after a stop."""
        loop = asyncio.get_running_loop()
        make = partial(SMTP, self, enable_SMTPUTF8=True, loop=loop)
        self._server = await loop.create_server(make, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def die(self) -> None:
        """Closes all connections and listens no more."""
        if self._server is not None:
            self._server.close()
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        await asyncio.sleep(0)

    def mails(self) -> list[EmailMessage]:
        """The mails that were accepted, in order."""
        return [message_from_bytes(content, EmailMessage, policy=default) for content in self.raw]

    def messages(self) -> Counter[str]:
        """Message-ID → how often it was accepted."""
        return Counter(re.findall(rb"^Message-ID: (\S+)", content, re.MULTILINE)[0].decode() for content in self.raw)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if server.transport is not None:
            self._transports.add(server.transport)
        if address in self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.received += 1
        misbehaviour = self.script(self.received)
        transport = server.transport
        assert transport is not None
        if misbehaviour is not None and misbehaviour.isdigit():
            return f"{misbehaviour} not now"
        if misbehaviour == "hold":
            await asyncio.sleep(3600)
        if misbehaviour != "drop":
            content = envelope.content
            assert isinstance(content, bytes)
            self.raw.append(content)
        if misbehaviour in ("drop", "lose"):
            transport.close()
        try:
            await asyncio.sleep(self.answer_after)
        finally:
            self.lost_answers += transport.is_closing() and misbehaviour != "drop"
        return "250 OK"
