"""Composition root of the notifier: was the citizen told?"""

from services.notifier.handlers import NotifyCitizens, restore
from services.notifier.settings import NotifierSettings
from shared.contracts.topics import LIFECYCLE, SUBMITTED
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs the notifier until it is told to stop."""
    settings = NotifierSettings()

    def build(platform: Platform) -> Parts:
        handler = NotifyCitizens(platform.clock)
        events = (*SUBMITTED.events, *LIFECYCLE.events)
        inbox = Inbox("notifier", "notifier", platform.outbox, handler, events)
        consumer = Consumer(inbox, settings, topics=[SUBMITTED.name, LIFECYCLE.name])
        return Parts(consumers=[consumer], restore=restore)

    run_service("notifier", settings, build)


if __name__ == "__main__":
    main()
