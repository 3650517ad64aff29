"""What the tracker does in the background: watch the conservation of complaints, forget what no longer counts."""

import asyncio
from datetime import timedelta

import structlog
from prometheus_client import Gauge

from services.tracker.store.queries import TrackerQueries
from services.tracker.store.staff import StaffRecords
from shared.runtime.clock import Clock
from shared.runtime.periodic import repeat

log = structlog.get_logger(__name__)

SETTLED = timedelta(minutes=1)
"""Older than this, an accepted complaint has a state."""

GAP = Gauge("chikaya_tracker_conservation_gap", "Complaints without exactly one state: alert when not 0.")
ACCEPTED = Gauge("chikaya_tracker_accepted_complaints", "Complaints accepted, as far as they were projected.")

_LOOK_EVERY_SECONDS = 15.0


class Upkeep:
    """Run as a task."""

    def __init__(self, queries: TrackerQueries, records: StaffRecords, clock: Clock) -> None:
        self._queries = queries
        self._records = records
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Looks every 15 seconds until `stopping` is set."""

        async def look() -> bool:
            await self.look()
            return False

        await repeat(look, _LOOK_EVERY_SECONDS, stopping)

    async def look(self) -> None:
        """Measures the gap, names its complaints in the log, and forgets what is old."""
        states, accepted, gap = await self._queries.conservation(self._clock.now() - SETTLED)
        missing = max(len(gap), abs(accepted - sum(states.values())))
        GAP.set(missing)
        ACCEPTED.set(accepted)
        if missing:
            log.error("complaints_without_state", number=missing, references=gap[:20])
        await self._records.upkeep(self._clock.now())
