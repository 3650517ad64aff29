"""Builds the read model anew from events, in memory and by COPY, many times faster than by projecting batches.

All events of a complaint are in the partitions of one number (see `shared.contracts.topics`), so partitions are
taken number by number and a complaint is written once, whole. The rules are those of the handlers: the same folding,
the same entries, the same sums.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from services.tracker.domain.complaint import Complaint, Entry
from services.tracker.domain.statistics import Sums, facts_of, state_of
from services.tracker.handlers import entry_of, fold, words_of
from services.tracker.store.bulk import Loading
from shared.contracts.envelope import AnyEvent
from shared.contracts.events import ComplaintSubmitted

_PORTION = 10_000


class Rebuild:
    """Feed it all events of some complaints in any order, then `finish_complaints`; `finish` at the very end."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self._complaints: dict[UUID, Complaint] = {}
        self._entered: set[UUID] = set()
        self._entries: list[Entry] = []
        self._found: dict[UUID, tuple[UUID, datetime, str]] = {}
        self._sums = Sums()

    async def feed(self, events: Iterable[AnyEvent]) -> None:
        """Folds events in; one that is fed again changes nothing."""
        for event in events:
            entry = entry_of(event)
            if entry is not None and entry.event_id not in self._entered:
                self._entered.add(entry.event_id)
                self._entries.append(entry)
            complaint = self._complaints.get(event.subject)
            if complaint is None:
                complaint = self._complaints[event.subject] = Complaint(event.subject)
            fold(complaint, event)
            if isinstance(event.data, ComplaintSubmitted) and (vector := words_of(event.data)):
                self._found.setdefault(event.subject, (event.subject, event.data.received_at, vector))
        if len(self._entries) >= _PORTION:
            await self._write_entries()
        if len(self._found) >= _PORTION:
            await self._write_words()

    async def finish_complaints(self) -> None:
        """Writes the complaints fed so far; no event of theirs follows. One with messages alone has no row."""
        await self._write_entries()
        await self._write_words()
        rows = [row for row in self._complaints.values() if row.version or row.access_code_key is not None]
        for row in rows:
            self._sums.replace(None, facts_of(row))
            self._sums.move(None, state_of(row))
        await self._loading.complaints(rows)
        self._complaints, self._entered = {}, set()

    async def finish(self) -> None:
        """Writes the statistics."""
        await self._loading.sums(self._sums)

    async def _write_entries(self) -> None:
        entries, self._entries = self._entries, []
        await self._loading.timeline(entries)

    async def _write_words(self) -> None:
        found, self._found = self._found, {}
        await self._loading.words(list(found.values()))
