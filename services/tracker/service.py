"""Composition root of the tracker: where does it stand?"""

from pydantic import SecretStr

from services.tracker.api.citizens import Desk, Limits, make_citizen_router
from services.tracker.api.exports import Exports
from services.tracker.api.live import make_live_router
from services.tracker.api.operations import make_operations_router
from services.tracker.api.statistics import make_statistics_router
from services.tracker.domain.access import Tokens
from services.tracker.handlers import project
from services.tracker.settings import TrackerSettings
from services.tracker.store.queries import TrackerQueries
from services.tracker.store.staff import StaffRecords
from services.tracker.upkeep import Upkeep
from shared.contracts.reference import AccessCodes
from shared.contracts.topics import DELIVERIES, LIFECYCLE, SUBMITTED
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service
from shared.runtime.signatures import Signer


def main() -> None:
    """Runs the tracker until it is told to stop."""
    settings = TrackerSettings()
    keys = {key_id: bytes.fromhex(secret) for key_id, secret in settings.access_code_keys.items()}
    signer = Signer({key_id: bytes.fromhex(secret) for key_id, secret in settings.signing_keys.items()})
    limits = Limits(settings.failures_per_reference, settings.failures_per_client, frozenset(settings.own_frontends))

    def build(platform: Platform) -> Parts:
        topics = (SUBMITTED, LIFECYCLE, DELIVERIES)
        events = tuple(event for topic in topics for event in topic.events)
        inbox = Inbox("tracker", "tracker", platform.outbox, project, events)
        clock, tokens = platform.clock, tokens_of(settings)
        queries, records = TrackerQueries(platform.database), StaffRecords(platform.database)
        desk = Desk(queries, records, AccessCodes(keys, current=list(keys)[-1]), clock, limits)
        upkeep = Upkeep(queries, records, clock)
        routers = [
            make_operations_router(queries, records, Exports(queries, clock), tokens, clock),
            make_statistics_router(queries, tokens, clock),
            make_live_router(queries, tokens),
            make_citizen_router(desk, clock, signer),
        ]
        consumers = [Consumer(inbox, settings, topics=[topic.name for topic in topics])]
        return Parts(routers=routers, consumers=consumers, tasks=[upkeep.run])

    run_service("tracker", settings, build)


def tokens_of(settings: TrackerSettings) -> Tokens:
    """The tokens in the settings."""

    def clear(secret: SecretStr | None) -> str | None:
        return None if secret is None else secret.get_secret_value()

    administrations = {code: secret.get_secret_value() for code, secret in settings.administration_tokens.items()}
    return Tokens(clear(settings.operations_token), clear(settings.auditor_token), administrations)


if __name__ == "__main__":
    main()
