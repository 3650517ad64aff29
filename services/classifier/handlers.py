"""Complaints in, new or come back, classifications out; what the model leaves to a person goes to the triage desk."""

import asyncio
from collections.abc import Sequence

from services.classifier import metrics
from services.classifier.domain.classification import Classified, Model, classify
from services.classifier.domain.triage import decided
from services.classifier.store import classifications, triage
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import ComplaintClassified, DecidedBy, Decision, TriageRequested
from shared.contracts.topics import CLASSIFIED
from shared.database.pool import Connection
from shared.messaging.codec import Outgoing, encode
from shared.messaging.outbox import Outbox
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat

_LOOK_EVERY_SECONDS = 1.0


class ClassifyComplaints:
    """Handles `complaints.submitted` and `complaints.triage-requests`.

    Recognises what it classified before a restore by itself.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    async def __call__(self, connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
        results = await asyncio.to_thread(classify, events, self._model)
        known = await classifications.known(connection, [event.subject for event in events])
        new = [result for result in results if result.event.data.round > known.get(result.event.subject, -1)]
        requests = [event.data for event in events if isinstance(event.data, TriageRequested)]
        if requests:
            for request in requests:
                metrics.REFUSALS.labels(request.refused[-1]).inc()
            await classifications.put_refusals(connection, requests)
        await classifications.put(connection, [result.event.data for result in new])
        await self._send_to_triage(connection, results)
        for result in new:
            measure(result.event.data)
        return [encode(CLASSIFIED, result.event) for result in new]

    async def _send_to_triage(self, connection: Connection, results: Sequence[Classified]) -> None:
        items = [result.triage_item for result in results if result.triage_item is not None]
        if items:
            left = await classifications.for_a_person(connection, [item.complaint_id for item in items])
            await triage.put(connection, [item for item in items if item.complaint_id in left])


class PublishDecisions:
    """Publishes officers' decisions once their hold is over. Run as a task."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every second until `stopping` is set."""

        async def look() -> bool:
            return await self.publish_due() == triage.MOST_DUE

        await repeat(look, _LOOK_EVERY_SECONDS, stopping)

    async def publish_due(self) -> int:
        """Publishes what is due now; how many."""

        async def work(connection: Connection) -> tuple[int, list[Outgoing]]:
            now = self._clock.now()
            events = [decided(item, decision, now) for item, decision in await triage.publish_due(connection, now)]
            if events:
                await classifications.put(connection, [event.data for event in events])
            for event in events:
                measure_decision(event.data)
            return len(events), [encode(CLASSIFIED, event) for event in events]

        return await self._outbox.commit(work)


async def restore(connection: Connection, events: Sequence[AnyEvent]) -> Sequence[Outgoing]:
    """Rebuilds classifications from their own events."""
    await classifications.put(connection, [event.data for event in events])
    await triage.restore(connection, [event for event in events if event.data.decided_by is DecidedBy.OFFICER])
    return ()


def measure(classified: ComplaintClassified) -> None:
    """Counts what the model said. A transaction that is done again counts again: rates, not accounts."""
    decision = classified.decision.value
    metrics.CLASSIFIED.labels(decision, classified.reason or "", classified.language or "").inc()
    if classified.candidates:
        metrics.CONFIDENCE.labels(decision).observe(classified.candidates[0].confidence)


def measure_decision(classified: ComplaintClassified) -> None:
    """Counts whether an officer confirmed the first suggestion."""
    outcome = "inadmissible"
    if classified.decision is Decision.ROUTE:
        first = classified.candidates[0].administration if classified.candidates else None
        outcome = "confirmed" if classified.administration == first else "overridden"
    metrics.OFFICER_DECISIONS.labels(outcome).inc()
