"""Composition root of the tracker: where does it stand?"""

from services.tracker.api import make_router
from services.tracker.handlers import project
from services.tracker.settings import TrackerSettings
from services.tracker.store import TrackerQueries
from shared.contracts.reference import AccessCodes
from shared.contracts.topics import DELIVERIES, LIFECYCLE, SUBMITTED
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs the tracker until it is told to stop."""
    settings = TrackerSettings()
    keys = {key_id: bytes.fromhex(secret) for key_id, secret in settings.access_code_keys.items()}
    token = settings.operations_token

    def build(platform: Platform) -> Parts:
        topics = (SUBMITTED, LIFECYCLE, DELIVERIES)
        events = tuple(event for topic in topics for event in topic.events)
        inbox = Inbox("tracker", "tracker", platform.outbox, project, events)
        codes = AccessCodes(keys, current=list(keys)[-1])
        queries = TrackerQueries(platform.database)
        router = make_router(queries, codes, platform.clock, token.get_secret_value() if token else None)
        return Parts(routers=[router], consumers=[Consumer(inbox, settings, topics=[t.name for t in topics])])

    run_service("tracker", settings, build)


if __name__ == "__main__":
    main()
