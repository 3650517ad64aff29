"""How many messages a second the notifier sends: `PYTHONPATH=. python bench/notifications.py [MESSAGES]`.

A real PostgreSQL, an SMSC and an SMTP server in a process of their own on loopback, one channel at a time. From the
first claim to the last outcome in the database; without Kafka, which takes no part in sending. The e-mails are
rendered, the short messages in parts; every state and event is committed.
"""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from multiprocessing.synchronize import Event as ProcessEvent

import uvloop
from aiosmtplib import SMTP
from smpp34 import Client

from deploy.local.postgres import EmbeddedPostgres
from services.notifier.channels.channel import Channel
from services.notifier.channels.smpp import SmppChannel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.delivery import Deliver
from services.notifier.domain.notices import AddressBook
from services.notifier.domain.sending import Circuit, Receipt, RetryPolicy
from services.notifier.handlers import PlanNotifications
from services.notifier.outcomes import RecordOutcomes
from services.notifier.rendering import Renderer
from services.notifier.wording import Words
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import Language, PreferredContact
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.database.migrations import migrate
from shared.database.pool import Connection, Database, incarnation_of
from shared.messaging.outbox import Outbox
from shared.runtime.clock import SystemClock
from shared.testing.builders import changed_event, reachable, submitted_event
from shared.testing.providers import TestSmsc, TestSmtp

_CLOCK = SystemClock()
_LANGUAGES = (Language.AR, Language.FR, Language.EN, Language.ZGH)
_PLANNED_AT_ONCE = 500

Received = Callable[[Receipt], Awaitable[None]]


def providers(ports: "multiprocessing.Queue[int]", stop: ProcessEvent) -> None:
    """Runs both providers until told to stop; their ports first."""

    async def serve() -> None:
        smsc, smtp = TestSmsc(), TestSmtp()
        await smsc.start()
        await smtp.start()
        ports.put(smsc.port)
        ports.put(smtp.port)
        await asyncio.to_thread(stop.wait)

    uvloop.run(serve())


async def plan(database: Database, preferred: PreferredContact, number: int) -> None:
    """Plans so many messages on one channel."""
    handler = PlanNotifications(AddressBook(), _CLOCK)
    for start in range(0, number, _PLANNED_AT_ONCE):
        complaints = [
            reachable(
                submitted_event(),
                preferred,
                phone=f"+2126{one:08d}",
                email=f"citizen{one}@exemple.ma",
                language=_LANGUAGES[one % len(_LANGUAGES)],
            )
            for one in range(start, start + _PLANNED_AT_ONCE)
        ]
        events: list[AnyEvent] = [*complaints, *(changed_event(one) for one in complaints)]

        async def work(connection: Connection, events: list[AnyEvent] = events) -> None:
            await handler(connection, events)

        await database.run(work)


async def seconds_to_send(database: Database, make: Callable[[Received], Channel], window: int) -> tuple[float, float]:
    """Sends everything that is due on a channel: seconds by the clock, and of this process's CPU."""
    outcomes = RecordOutcomes(Outbox(database), AddressBook(), RetryPolicy(), _CLOCK)
    receipts: GroupCommit[Receipt, None] = GroupCommit(outcomes.receive)
    words = Words(Renderer("https://chikaya.ma"), AccessCodes({"k1": b"key"}, "k1"))
    channel = make(receipts.submit)
    deliver = Deliver(channel, outcomes, words, AddressBook(), _CLOCK, Circuit(window), timedelta(seconds=25))
    stopping = asyncio.Event()
    began, used = time.perf_counter(), time.process_time()
    running = [asyncio.create_task(task(stopping)) for task in (deliver.run, receipts.run_until)]
    due = "SELECT FROM deliveries WHERE channel = $1 AND state = 'due' LIMIT 1"
    while await database.fetch(due, channel.name):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    took, used = time.perf_counter() - began, time.process_time() - used
    stopping.set()
    await asyncio.gather(*running)
    return took, used


async def measure(url: str, number: int, smsc_port: int, smtp_port: int) -> None:
    """Prints the rate of each channel."""
    database = Database(url)
    await database.open()
    connection = await database.connect()
    database.trust(await incarnation_of(connection))
    await connection.close()

    def sms(received: Received) -> Channel:
        def client() -> Client:
            return Client("127.0.0.1", smsc_port, "bench", "bench", window_size=64, inbound_capacity=4_096)

        return SmppChannel(client, received, source="Chikaya", concatenation="udh")

    def email(_: Received) -> Channel:
        def connection() -> SMTP:
            return SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False)

        return SmtpChannel(connection, _CLOCK, sender="no-reply@chikaya.ma", unsubscribe="mailto:stop@chikaya.ma")

    for preferred, make, window in ((PreferredContact.SMS, sms, 64), (PreferredContact.EMAIL, email, 16)):
        await plan(database, preferred, number)
        took, used = await seconds_to_send(database, make, window)
        rate, cost = number / took, used / number * 1_000
        print(f"{preferred}: {number} messages in {took:.1f} s, {rate:.0f} a second, {cost:.2f} ms of CPU each")
    await database.close()


def main() -> None:
    """Measures with so many messages on each channel."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    spawn = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = spawn.Queue()
    stop = spawn.Event()
    serving = spawn.Process(target=providers, args=(ports, stop))
    serving.start()
    try:
        with EmbeddedPostgres() as postgres:
            url = postgres.create_database("notifier")
            migrate(url, "notifier")
            uvloop.run(measure(url, number, ports.get(timeout=30), ports.get(timeout=30)))
    finally:
        stop.set()
        serving.join()


if __name__ == "__main__":
    main()
