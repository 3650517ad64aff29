"""Composition root of the dispatcher: who has it now, and by when?"""

import asyncio

from services.dispatcher import store
from services.dispatcher.domain import Policy
from services.dispatcher.handlers import AdvanceCases, ApplyReplies, RefuseUnreadable, restore
from services.dispatcher.settings import DispatcherSettings
from shared.contracts.administrations import registry
from shared.contracts.events import AdministrationReplied
from shared.contracts.topics import CLASSIFIED, OUTBOX_PATTERN, SUBMITTED
from shared.database.pool import Connection
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs the dispatcher until it is told to stop."""
    settings = DispatcherSettings()

    def build(platform: Platform) -> Parts:
        cases = Inbox(
            "dispatcher",
            "dispatcher",
            platform.outbox,
            AdvanceCases(Policy(), platform.clock),
            (*SUBMITTED.events, *CLASSIFIED.events),
            handles_repeats=True,
        )
        replies = Inbox(
            "dispatcher",
            "dispatcher-administrations",
            platform.outbox,
            ApplyReplies(platform.clock),
            (AdministrationReplied,),
            refuse=RefuseUnreadable(platform.clock),
        )
        consumer = Consumer(cases, settings, topics=[SUBMITTED.name, CLASSIFIED.name])
        administrations = Consumer(replies, settings, pattern=OUTBOX_PATTERN)

        async def seed_then_consume(stopping: asyncio.Event) -> None:
            async def seed(connection: Connection) -> None:
                await store.seed_administrations(connection, registry().values())

            await platform.database.run(seed)
            await consumer.run(stopping)

        return Parts(consumers=[administrations], tasks=[seed_then_consume], restore=restore)

    run_service("dispatcher", settings, build)


if __name__ == "__main__":
    main()
