"""Where the local stack's e-mails and short messages end: an SMTP server, an SMSC and a page that shows both.

Nothing leaves the machine. What was caught is kept in memory, the newest first, and lost at the end of the process.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import count

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from smpp34 import Esme, Server, SubmitSmEvent

from deploy.local.processes import LOOPBACK

_KEPT = 1_000
_HAS_HEADER = 0x40
_RECEIPT = 0x04

_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>Chikaya: caught messages</title>
<style>
body{margin:2rem auto;max-width:60rem;padding:0 1rem;font:16px/1.5 system-ui,sans-serif;color:#1c2430}
article{border:1px solid #cdd3da;border-radius:8px;padding:.75rem 1rem;margin:.75rem 0}
header{color:#5a6472;font-size:.9rem}p{white-space:pre-wrap;margin:.4rem 0}
</style></head><body>
<h1>Caught messages</h1>
<p>{{ sms }} short messages and {{ mails }} e-mails were caught on this machine.
The newest {{ shown | length }} follow.</p>
{% for one in shown %}<article><header>{{ one.kind }} · {{ one.at.strftime("%H:%M:%S") }} UTC · to {{ one.to }}</header>
{% if one.subject %}<strong dir="auto">{{ one.subject }}</strong>
{% endif %}<p dir="auto">{{ one.text }}</p>{% if one.html %}<a href="/mails/{{ one.number }}">as HTML</a>{% endif %}
</article>
{% endfor %}</body></html>"""
)


@dataclass(frozen=True, slots=True)
class Caught:
    """One message."""

    number: int
    kind: str
    at: datetime
    to: str
    subject: str
    text: str
    html: str = ""


@dataclass
class Catcher:
    """Keeps what arrives."""

    caught: deque[Caught] = field(default_factory=lambda: deque(maxlen=_KEPT))
    mails: int = 0
    sms: int = 0
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _parts: dict[tuple[str, int, int], dict[int, bytes]] = field(default_factory=dict)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Takes one e-mail."""
        content = envelope.content
        message = message_from_bytes(content if isinstance(content, bytes) else b"", policy=default)
        assert isinstance(message, EmailMessage)
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        self.mails += 1
        self._keep(
            "e-mail",
            ", ".join(envelope.rcpt_tos),
            str(message["Subject"]),
            text.get_content() if text else "",
            html.get_content() if html else "",
        )
        return "250 OK"

    async def serve_smpp(self, port: int) -> None:
        """Accepts every short message, and receipts it as delivered."""
        server = Server(LOOPBACK, port, system_id="catcher", inbound_capacity=1_024)
        await server.start()
        sessions: dict[str, Esme] = {}
        receipts: set[asyncio.Task[None]] = set()
        for number in count(1):
            event = await server.next()
            if isinstance(event, Esme):
                sessions[event.session_id] = event
            elif isinstance(event, SubmitSmEvent):
                provider_id = f"caught-{number}"
                event.accept(provider_id)
                self._join(event)
                task = asyncio.create_task(_receipt(sessions[event.session_id], event, provider_id))
                receipts.add(task)
                task.add_done_callback(receipts.discard)
            else:
                sessions.pop(event.session_id, None)

    def _join(self, event: SubmitSmEvent) -> None:
        content, to = event.short_message, event.destination_addr
        if event.esm_class & _HAS_HEADER:
            reference, total, number = content[3:6]
            parts = self._parts.setdefault((to, reference, total), {})
            parts[number] = content[6:]
            if len(parts) < total:
                return
            content = b"".join(parts[part] for part in sorted(parts))
            del self._parts[to, reference, total]
        self.sms += 1
        self._keep("SMS", to, "", content.decode("utf-16-be", "replace"))

    def _keep(self, kind: str, to: str, subject: str, text: str, html: str = "") -> None:
        self.caught.appendleft(Caught(next(self._numbers), kind, datetime.now(UTC), to, subject, text, html))


async def _receipt(session: Esme, event: SubmitSmEvent, provider_id: str) -> None:
    text = f"id:{provider_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:"
    await session.deliver_sm(event.source_addr, text.encode(), source_addr=event.destination_addr, esm_class=_RECEIPT)


def make_application(catcher: Catcher) -> FastAPI:
    """The page, each e-mail as its reader sees it, and `/health/ready`."""
    application = FastAPI(title="Chikaya catcher", docs_url=None, redoc_url=None)

    @application.get("/")
    async def page() -> HTMLResponse:
        shown = list(catcher.caught)[:100]
        return HTMLResponse(_PAGE.render(shown=shown, sms=catcher.sms, mails=catcher.mails))

    @application.get("/mails/{number}")
    async def mail(number: int) -> HTMLResponse:
        found = next((one.html for one in catcher.caught if one.number == number), None)
        policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        return HTMLResponse(found or "This e-mail is not kept any more.", 200 if found else 404, policy)

    @application.get("/counts")
    async def counts() -> dict[str, int]:
        return {"sms": catcher.sms, "mails": catcher.mails}

    @application.get("/health/ready")
    async def ready() -> Response:
        return Response(status_code=200)

    return application


async def serve(smtp_port: int, smpp_port: int, http_port: int) -> None:
    """Serves until the signal to stop."""
    catcher = Catcher()
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(catcher, enable_SMTPUTF8=True, loop=loop), LOOPBACK, smtp_port)
    smpp = asyncio.create_task(catcher.serve_smpp(smpp_port))
    config = uvicorn.Config(make_application(catcher), LOOPBACK, http_port, access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()
    smtp.close()
    smpp.cancel()


def main() -> None:
    """Runs the catcher on the ports of the environment."""
    ports = (os.environ[f"CHIKAYA_{name}_PORT"] for name in ("SMTP", "SMPP", "HTTP"))
    asyncio.run(serve(*map(int, ports)))


if __name__ == "__main__":
    main()
