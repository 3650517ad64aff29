"""The statement of silence: that a deadline passed without an answer, with all that happened. Pure.

Whoever got no answer hands it to the Mediator. It names neither who complained nor what was written.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.tracker.domain.complaint import named
from services.tracker.domain.words import WORDS
from shared.contracts.lifecycle import NOT_FORWARDED, WORKED_ON
from shared.contracts.statements import ISSUER

_UNANSWERED = {status.value for status in (*NOT_FORWARDED, *WORKED_ON)}

Row = Mapping[str, Any]
"""The columns of `complaints`; of a timeline entry, those of `timeline`."""


def silent_since(row: Row, now: datetime) -> datetime | None:
    """The deadline that passed without the answer that is awaited; None when there is no such silence."""
    due: datetime | None = row["reopened_answer_by"] or row["answer_by"]
    if row["status"] not in _UNANSWERED or due is None or now <= due:
        return None
    return due


def statement_of_silence(row: Row, timeline: Sequence[Row], due: datetime, now: datetime) -> dict[str, Any]:
    """The claims to be signed; `timeline` is in order."""
    return {
        "iss": ISSUER,
        "sub": row["reference"],
        "iat": int(now.timestamp()),
        "stated_at": _text(now),
        "received_at": _text(row["received_at"]),
        "administration": named(row["administration"]),
        "on_behalf_of": named(row["on_behalf_of"]),
        "held_since": None if row["held_since"] is None else _text(row["held_since"]),
        "forward_by": _text(row["forward_by"]),
        "answer_by": _text(row["answer_by"]),
        "unanswered_since": _text(due),
        "status": row["status"],
        "timeline": [_step(entry) for entry in timeline],
    }


def _step(entry: Row) -> dict[str, Any]:
    words = {language: texts.changes.get(entry["change"], texts.any_change) for language, texts in WORDS.items()}
    code = entry["administration"]
    return {"at": _text(entry["happened_at"]), "change": entry["change"], "administration": code, "text": words}


def _text(moment: datetime | str) -> str:
    """An instant in UTC, RFC 3339; timeline entries come as text."""
    return (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(UTC).isoformat()
