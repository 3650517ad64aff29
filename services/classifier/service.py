"""Composition root of the classifier: what is it about, and whose is it?"""

from services.classifier.domain import Lexicon
from services.classifier.handlers import ClassifySubmitted, restore
from services.classifier.settings import ClassifierSettings
from shared.contracts.administrations import registry
from shared.contracts.topics import SUBMITTED
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs the classifier until it is told to stop."""
    settings = ClassifierSettings()

    def build(platform: Platform) -> Parts:
        handler = ClassifySubmitted(Lexicon.of(registry().values()))
        inbox = Inbox("classifier", "classifier", platform.outbox, handler, SUBMITTED.events)
        consumer = Consumer(inbox, settings, topics=[SUBMITTED.name])
        return Parts(consumers=[consumer], restore=restore)

    run_service("classifier", settings, build)


if __name__ == "__main__":
    main()
