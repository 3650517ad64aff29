"""Composition root of the notifier: was the citizen told?"""

from datetime import timedelta

from aiosmtplib import SMTP
from pydantic import SecretStr
from smpp34 import Client

from services.notifier.api import make_router
from services.notifier.channels.channel import Channel, LogChannel
from services.notifier.channels.smpp import SmppChannel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.delivery import Deliver
from services.notifier.domain.notices import AddressBook
from services.notifier.domain.sending import Circuit, Receipt, RetryPolicy
from services.notifier.handlers import PlanNotifications, restore
from services.notifier.outcomes import RecordOutcomes
from services.notifier.rendering import Renderer
from services.notifier.settings import NotifierSettings
from services.notifier.store.deliveries import DeliveryLog
from services.notifier.wording import Words
from shared.contracts.reference import AccessCodes
from shared.contracts.topics import CITIZEN_ACTIONS, LIFECYCLE, SUBMITTED
from shared.database.group_commit import GroupCommit
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.clock import Clock
from shared.runtime.service import Parts, Platform, run_service

_RECEIPTS_WAITING = 4_096
_TOPICS = (SUBMITTED, CITIZEN_ACTIONS, LIFECYCLE)


def main() -> None:
    """Runs the notifier until it is told to stop."""
    settings = NotifierSettings()
    keys = {key_id: bytes.fromhex(secret) for key_id, secret in settings.access_code_keys.items()}
    addresses = AddressBook(settings.operations_email, settings.administration_emails)
    policy = RetryPolicy(timedelta(seconds=settings.retry_seconds), timedelta(hours=settings.patience_hours))
    words = Words(Renderer(settings.portal_url), AccessCodes(keys, current=list(keys)[-1]))

    def build(platform: Platform) -> Parts:
        events = tuple(event for topic in _TOPICS for event in topic.events)
        handler = PlanNotifications(addresses, platform.clock)
        inbox = Inbox("notifier", "notifier", platform.outbox, handler, events)
        outcomes = RecordOutcomes(platform.outbox, addresses, policy, platform.clock)
        receipts: GroupCommit[Receipt, None] = GroupCommit(outcomes.receive)

        def deliver(channel: Channel, window: int) -> Deliver:
            attempt = timedelta(seconds=settings.attempt_seconds)
            return Deliver(channel, outcomes, words, addresses, platform.clock, Circuit(window), attempt)

        token = settings.operations_token
        router = make_router(DeliveryLog(platform.database), outcomes, token.get_secret_value() if token else None)
        return Parts(
            routers=[router],
            consumers=[Consumer(inbox, settings, topics=[topic.name for topic in _TOPICS])],
            tasks=[
                deliver(_sms(settings, receipts), settings.smpp_window).run,
                deliver(_email(settings, platform.clock), settings.smtp_connections).run,
                receipts.run_until,
            ],
            restore=restore,
        )

    run_service("notifier", settings, build)


def _sms(settings: NotifierSettings, receipts: GroupCommit[Receipt, None]) -> Channel:
    host = settings.smpp_host
    if host is None:
        return LogChannel("sms")

    def client() -> Client:
        return Client(
            host,
            settings.smpp_port,
            settings.smpp_system_id,
            settings.smpp_password.get_secret_value(),
            system_type=settings.smpp_system_type,
            tls=settings.smpp_tls,
            window_size=settings.smpp_window,
            inbound_capacity=_RECEIPTS_WAITING,
        )

    return SmppChannel(client, receipts.submit, source=settings.smpp_source, concatenation=settings.smpp_concatenation)


def _email(settings: NotifierSettings, clock: Clock) -> Channel:
    if settings.smtp_host is None:
        return LogChannel("email")

    def connection() -> SMTP:
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=_secret(settings.smtp_password),
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=settings.attempt_seconds,
            local_hostname=settings.smtp_from.rpartition("@")[2],
        )

    return SmtpChannel(connection, clock, sender=settings.smtp_from, unsubscribe=settings.smtp_unsubscribe)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


if __name__ == "__main__":
    main()
