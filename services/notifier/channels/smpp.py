"""Short messages by SMPP 3.4: UCS-2, concatenated parts, throttling, receipts; binds again after a loss.

The session's protocol (framing, sequence numbers, enquire_link, unknown TLVs) is the library's. It acknowledges a
receipt by itself, before it is stored here: one may be lost in a crash, and its message then stays `sent`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from smpp34 import Client, DeliverSmEvent, Disconnected, SmppError, Smsc, SubmitSmResp, Tlv

from services.notifier.channels.channel import Outbound
from services.notifier.domain.sending import Accepted, Blame, Outcome, Postponed, Receipt, Refused
from services.notifier.domain.sms import concatenation_reference, parts_of, user_data_header
from shared.database.group_commit import Overloaded
from shared.database.pool import is_transient

log = structlog.get_logger(__name__)

_INTERNATIONAL, _ALPHANUMERIC, _ISDN, _UNKNOWN = 1, 5, 1, 0
_UCS2 = 0x08
_HAS_HEADER = 0x40
_RECEIPT_WANTED = 0x01
_RECEIPT = 0x04
_MESSAGE_TYPE = 0x3C

# optional parameters, section 5.3.2
_SAR_MSG_REF_NUM = 0x020C
_SAR_TOTAL_SEGMENTS = 0x020E
_SAR_SEGMENT_SEQNUM = 0x020F
_RECEIPTED_MESSAGE_ID = 0x001E
_MESSAGE_STATE = 0x0427

# command_status, SMPP 3.4 section 5.1.3
_THROTTLED = (0x14, 0x58)
_REFUSED = (0x01, 0x0B, 0x50, 0x51, 0x65, 0x66)
_PROVIDER = (0x04, 0x05, 0x08, 0x0D, 0x0E, 0x0F)

# message_state, section 5.2.28
_DELIVERED = 2
_FINALLY_NOT = (3, 4, 5, 8)
_STATES = {"DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "REJECTD": 8}
_ID = re.compile(r"\bid:(\S+)", re.IGNORECASE)
_STAT = re.compile(r"\bstat:(\w+)", re.IGNORECASE)


class SmppChannel:
    """One bound session, made when first needed and anew after it was lost. `received` gets the receipts."""

    name = "sms"

    def __init__(
        self,
        connect: Callable[[], Client],
        received: Callable[[Receipt], Awaitable[None]],
        *,
        source: str,
        concatenation: Literal["udh", "sar"],
    ) -> None:
        self._make_client = connect
        self._received = received
        self._source = source
        self._concatenation = concatenation
        self._binding = asyncio.Lock()
        self._session: tuple[Client, Smsc] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._storing: set[asyncio.Task[None]] = set()

    async def send(self, outbound: Outbound) -> Outcome:
        texts = parts_of(outbound.rendered.sms)
        for number, text in enumerate(texts, 1):
            if number in outbound.parts:
                continue
            try:
                session = await self._bound()
                answer = await self._submit(session, outbound, text, number, len(texts))
            except SmppError as error:
                await self._drop_if_lost()
                return Postponed(Blame.PROVIDER, str(error))
            if not answer.is_success:
                return _refusal(answer.command_status)
            outbound.parts[number] = answer.message_id or f"{outbound.delivery_id}-{number}"
        return Accepted()

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        if self._session is not None:
            client, self._session = self._session[0], None
            await client.stop()

    async def _bound(self) -> Smsc:
        async with self._binding:
            if self._session is None:
                client = self._make_client()
                session = await client.connect()
                self._session = client, session
                self._listening = asyncio.create_task(self._listen(session))
                log.info("smsc_bound")
            return self._session[1]

    async def _drop_if_lost(self) -> None:
        async with self._binding:
            if self._session is not None and not await self._session[0].is_alive():
                client, self._session = self._session[0], None
                log.warning("smsc_lost")
                await client.stop()

    async def _submit(self, session: Smsc, outbound: Outbound, text: bytes, number: int, total: int) -> SubmitSmResp:
        reference = concatenation_reference(outbound.delivery_id)
        esm_class, tlvs = 0, []
        if total > 1 and self._concatenation == "udh":
            esm_class, text = _HAS_HEADER, user_data_header(reference, total, number) + text
        elif total > 1:
            tlvs = [
                Tlv(_SAR_MSG_REF_NUM, reference.to_bytes(2, "big")),
                Tlv(_SAR_TOTAL_SEGMENTS, bytes((total,))),
                Tlv(_SAR_SEGMENT_SEQNUM, bytes((number,))),
            ]
        return await session.submit_sm(
            outbound.address.removeprefix("+"),
            text,
            source_addr=self._source,
            source_addr_ton=_ALPHANUMERIC,
            source_addr_npi=_UNKNOWN,
            dest_addr_ton=_INTERNATIONAL,
            dest_addr_npi=_ISDN,
            esm_class=esm_class,
            registered_delivery=_RECEIPT_WANTED,
            data_coding=_UCS2,
            tlvs=tlvs,
        )

    async def _listen(self, session: Smsc) -> None:
        while not isinstance(event := await session.next(), Disconnected):
            receipt = receipt_of(event)
            if receipt is not None:
                # Never waited for: when its inbox is full, smpp34 1.5 refuses with a PDU of a wrong length, and the
                # session is lost. Together, the receipts also share a commit.
                storing = asyncio.create_task(self._store(receipt))
                self._storing.add(storing)
                storing.add_done_callback(self._storing.discard)
        await self._drop_if_lost()

    async def _store(self, receipt: Receipt) -> None:
        try:
            await self._received(receipt)
        except Exception as error:
            if not isinstance(error, Overloaded) and not is_transient(error):
                raise
            log.warning("receipt_lost", provider_id=receipt.provider_id, error=type(error).__name__)


def _refusal(status: int) -> Outcome:
    reason = f"command_status {status:#010x}"
    if status in _REFUSED:
        return Refused(reason)
    if status in _THROTTLED:
        return Postponed(Blame.THROTTLED, reason)
    return Postponed(Blame.PROVIDER if status in _PROVIDER else Blame.MESSAGE, reason)


def receipt_of(event: DeliverSmEvent) -> Receipt | None:
    """The final state in a delivery receipt, by its TLVs or its text (SMPP 3.4 appendix B); None for anything else."""
    if event.esm_class & _MESSAGE_TYPE != _RECEIPT:
        return None
    tlvs = {tlv.tag: tlv.value for tlv in event.tlvs}
    text = event.short_message.decode("latin-1")
    by_text, state = _ID.search(text), _STAT.search(text)
    if _RECEIPTED_MESSAGE_ID in tlvs:
        provider_id = tlvs[_RECEIPTED_MESSAGE_ID].rstrip(b"\0").decode("latin-1")
    elif by_text is not None:
        provider_id = by_text[1]
    else:
        return None
    number = tlvs.get(_MESSAGE_STATE, b"")
    final = number[0] if number else _STATES.get(state[1].upper() if state else "", 0)
    if final != _DELIVERED and final not in _FINALLY_NOT:
        return None
    return Receipt(provider_id, delivered=final == _DELIVERED)
