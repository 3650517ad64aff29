"""E-mail by SMTP: text and HTML alternatives, on connections that are kept while they last."""

from collections.abc import Callable
from email.charset import BASE64, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime

import aiosmtplib
import structlog
from aiosmtplib import SMTP

from services.notifier.channels.channel import Outbound
from services.notifier.domain.sending import Accepted, Blame, Outcome, Postponed, Refused
from shared.runtime.clock import Clock

log = structlog.get_logger(__name__)

_POLICY = compat32.clone(linesep="\r\n")
_BASE64 = Charset("utf-8")
_BASE64.header_encoding = BASE64
_PERMANENT = 500
_TOO_MANY_CONNECTIONS = 421
_BUSY = (_TOO_MANY_CONNECTIONS, 450, 451, 452)


class SmtpChannel:
    """As many connections as there are calls at a time."""

    name = "email"

    def __init__(self, connection: Callable[[], SMTP], clock: Clock, *, sender: str, unsubscribe: str) -> None:
        self._make_connection = connection
        self._clock = clock
        self._sender = sender
        self._unsubscribe = unsubscribe
        self._idle: list[SMTP] = []

    async def send(self, outbound: Outbound) -> Outcome:
        message = self._message(outbound)
        smtp = None
        try:
            smtp = await self._connection()
            await smtp.sendmail(self._sender, outbound.address, message)
        except (aiosmtplib.SMTPException, OSError) as error:
            outcome = _outcome(error)
            if smtp is None or not smtp.is_connected or _is_providers(outcome):
                self._discard(smtp)
            else:
                self._idle.append(smtp)
            return outcome
        except ValueError:
            self._discard(smtp)
            return Refused("not an address that can be written to")
        except BaseException:
            self._discard(smtp)
            raise
        self._idle.append(smtp)
        return Accepted()

    async def close(self) -> None:
        while self._idle:
            self._discard(self._idle.pop())

    async def _connection(self) -> SMTP:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_connected:
                return kept
        smtp = self._make_connection()
        await smtp.connect()
        return smtp

    def _discard(self, smtp: SMTP | None) -> None:
        if smtp is not None:
            smtp.close()

    def _message(self, outbound: Outbound) -> bytes:
        # The older classes: `EmailMessage` parses each header again, which took most of the time of an e-mail.
        rendered = outbound.rendered
        message = MIMEMultipart("alternative", boundary=f"=_{outbound.delivery_id.hex}", policy=_POLICY)
        message["From"] = f"Chikaya <{self._sender}>"
        message["To"] = outbound.address
        message["Subject"] = Header(rendered.subject, _BASE64).encode()
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{outbound.delivery_id}@{self._sender.rpartition('@')[2]}>"
        message["Content-Language"] = rendered.language
        message["Auto-Submitted"] = "auto-generated"
        message["List-Unsubscribe"] = f"<{self._unsubscribe}>"
        message.attach(MIMEText(rendered.text, "plain", "utf-8", policy=_POLICY))
        message.attach(MIMEText(rendered.html, "html", "utf-8", policy=_POLICY))
        return message.as_bytes()


def _is_providers(outcome: Outcome) -> bool:
    return isinstance(outcome, Postponed) and outcome.blame is Blame.PROVIDER


def _outcome(error: Exception) -> Outcome:
    """Refused is what the server says for good about the recipient or the message; all else may pass."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if not isinstance(error, aiosmtplib.SMTPResponseException):
        return Postponed(Blame.PROVIDER, type(error).__name__)
    reason = f"{type(error).__name__} {error.code}"
    about_message = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
    if about_message and error.code >= _PERMANENT:
        return Refused(reason)
    if about_message and error.code != _TOO_MANY_CONNECTIONS:
        return Postponed(Blame.MESSAGE, reason)
    return Postponed(Blame.THROTTLED if error.code in _BUSY else Blame.PROVIDER, reason)
