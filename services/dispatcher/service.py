"""Composition root of the dispatcher: who has it now, and by when?"""

import asyncio

from pydantic import SecretStr

from services.dispatcher import registry_store
from services.dispatcher.administrations import Administrations, MoveQueues, RestoreRegistry
from services.dispatcher.api import make_provisioning_router, make_registry_router, make_replies_router
from services.dispatcher.domain.clocks import Policy
from services.dispatcher.handlers import AdvanceCases, ApplyReplies, FireTimers, RefuseUnreadable, RestoreCases
from services.dispatcher.replies import AcceptReplies, Reply, ReplyOutcome
from services.dispatcher.settings import DispatcherSettings
from shared.contracts.administrations import registry
from shared.contracts.events import AdministrationReplied
from shared.contracts.topics import CITIZEN_ACTIONS, CLASSIFIED, OUTBOX_PATTERN, SUBMITTED
from shared.database.group_commit import GroupCommit
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
            (*SUBMITTED.events, *CLASSIFIED.events, *CITIZEN_ACTIONS.events),
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
        consumer = Consumer(cases, settings, topics=[SUBMITTED.name, CLASSIFIED.name, CITIZEN_ACTIONS.name])
        administrations = Consumer(replies, settings, pattern=OUTBOX_PATTERN)

        timers = FireTimers(platform.outbox, policy, platform.clock)

        async def seed_then_consume(stopping: asyncio.Event) -> None:
            async def seed(connection: Connection) -> None:
                await registry_store.seed(connection, registry().values())

            await platform.database.run(seed)
            await consumer.run(stopping)

        registry_queries = registry_store.RegistryQueries(platform.database)
        steps = Administrations(platform.outbox, platform.clock)
        over_http: GroupCommit[Reply, ReplyOutcome] = GroupCommit(
            AcceptReplies(platform.outbox, ApplyReplies(policy, platform.clock))
        )

        return Parts(
            routers=[
                make_registry_router(steps, registry_queries, _secret(settings.operations_token)),
                make_provisioning_router(steps, registry_queries, _secret(settings.provisioner_token)),
                make_replies_router(registry_queries, over_http),
            ],
            consumers=[administrations],
            tasks=[
                seed_then_consume,
                timers.run,
                MoveQueues(platform.outbox, policy, platform.clock).run,
                over_http.run_until,
            ],
            restore=RestoreRegistry(RestoreCases(policy, platform.clock)),
        )

    run_service("dispatcher", settings, build)


def _secret(token: SecretStr | None) -> str | None:
    return None if token is None else token.get_secret_value()


if __name__ == "__main__":
    main()
