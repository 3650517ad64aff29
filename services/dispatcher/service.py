"""Composition root of the dispatcher: who has it now, and by when?"""

import asyncio

from services.dispatcher import store
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases, ApplyReplies, FireTimers, RefuseUnreadable, RestoreCases
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

    policy = Policy.load(settings.policy) if settings.policy else Policy.load()

    def build(platform: Platform) -> Parts:
        cases = Inbox(
            "dispatcher",
            "dispatcher",
            platform.outbox,
            AdvanceCases(policy, platform.clock),
            (*SUBMITTED.events, *CLASSIFIED.events),
        )
        replies = Inbox(
            "dispatcher",
            "dispatcher-administrations",
            platform.outbox,
            ApplyReplies(policy, platform.clock),
            (AdministrationReplied,),
            proof=("apply", "reject"),
            refuse=RefuseUnreadable(platform.clock),
        )
        consumer = Consumer(cases, settings, topics=[SUBMITTED.name, CLASSIFIED.name])
        administrations = Consumer(replies, settings, pattern=OUTBOX_PATTERN)

        timers = FireTimers(platform.outbox, policy, platform.clock)

        async def seed_then_consume(stopping: asyncio.Event) -> None:
            async def seed(connection: Connection) -> None:
                await store.seed_administrations(connection, registry().values())

            await platform.database.run(seed)
            await consumer.run(stopping)

        return Parts(
            consumers=[administrations],
            tasks=[seed_then_consume, timers.run],
            restore=RestoreCases(policy, platform.clock),
        )

    run_service("dispatcher", settings, build)


if __name__ == "__main__":
    main()
