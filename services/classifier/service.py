"""Composition root of the classifier: what is it about, and whose is it?"""

from datetime import timedelta

from services.classifier.api import make_preview_router, make_triage_router
from services.classifier.handlers import ClassifyComplaints, PublishDecisions, restore
from services.classifier.model.serving import ServedModel
from services.classifier.model.versions import Versions
from services.classifier.settings import ClassifierSettings
from services.classifier.store.triage import TriageQueue
from shared.contracts.topics import SUBMITTED, TRIAGE_REQUESTS
from shared.messaging.consumer import Consumer
from shared.messaging.inbox import Inbox
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs the classifier until it is told to stop."""
    settings = ClassifierSettings()
    officers = {name: token.get_secret_value() for name, token in settings.officer_tokens.items()}

    hold = timedelta(seconds=settings.decision_hold_seconds)

    def build(platform: Platform) -> Parts:
        model = ServedModel(None if settings.models is None else Versions(settings.models))
        inbox = Inbox(
            "classifier",
            "classifier",
            platform.outbox,
            ClassifyComplaints(model),
            (*SUBMITTED.events, *TRIAGE_REQUESTS.events),
        )
        queue = TriageQueue(platform.database)
        return Parts(
            routers=[make_preview_router(model), make_triage_router(queue, platform.clock, officers, hold)],
            consumers=[Consumer(inbox, settings, topics=[SUBMITTED.name, TRIAGE_REQUESTS.name])],
            tasks=[PublishDecisions(platform.outbox, platform.clock).run, model.follow],
            restore=restore,
        )

    run_service("classifier", settings, build)


if __name__ == "__main__":
    main()
