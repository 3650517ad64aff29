"""Where a reader stands, in a SQLite file of its own: its place in each topic, and the ids it has delivered.

Kafka's own committed offsets are not used: the place moves in the same transaction as what it stands for.
"""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

_TABLES = """
CREATE TABLE IF NOT EXISTS places (topic TEXT PRIMARY KEY, next_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivered (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, subject TEXT NOT NULL, time TEXT NOT NULL, data TEXT NOT NULL,
    topic TEXT NOT NULL, kafka_offset INTEGER NOT NULL
);
"""


class Journal:
    """One reader's file; made when it is not there."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(file)
        self.database.executescript(_TABLES)

    def next_offset(self, topic: str) -> int | None:
        """The first offset not read; None for a topic never read."""
        row = self.database.execute("SELECT next_offset FROM places WHERE topic = ?", (topic,)).fetchone()
        return None if row is None else int(row[0])

    def is_delivered(self, event_id: str) -> bool:
        return self.database.execute("SELECT 1 FROM delivered WHERE id = ?", (event_id,)).fetchone() is not None

    def passed(self, topic: str, offset: int, event_id: str | None) -> None:
        """Commits that a record is done with, and whatever was written to `database` for it.

        `event_id` is None for a record that was no event.
        """
        if event_id is not None:
            self.database.execute("INSERT OR IGNORE INTO delivered VALUES (?)", (event_id,))
        self.database.execute(
            "INSERT INTO places VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET next_offset = excluded.next_offset",
            (topic, offset + 1),
        )
        self.database.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()
