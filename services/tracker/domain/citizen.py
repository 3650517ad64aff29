"""What a citizen is told about a complaint: as data with words, and as a short text to be spoken. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.tracker.domain.complaint import local_day, named
from services.tracker.domain.words import WORDS, Words
from shared.contracts.lifecycle import ENDED, CaseStatus
from shared.contracts.wording import Spoken

Row = Mapping[str, Any]
"""The columns of `complaints`; of a timeline entry, those of `timeline`."""


def citizen_view(row: Row, timeline: Sequence[Row], now: datetime, language: Spoken) -> dict[str, Any]:
    """The answer to a citizen. Names nobody who complained; `timeline` is in order."""
    words = WORDS[language]
    status = row["status"] or CaseStatus.RECEIVED.value
    return {
        "reference": row["reference"],
        "status": status,
        "status_text": words.statuses.get(status, status),
        "summary": " ".join(_summary(row, now, language)),
        "language": language,
        "administration": named(row["administration"]),
        "on_behalf_of": named(row["on_behalf_of"]),
        "held_since": row["held_since"],
        "since": row["since"] or row["received_at"],
        "received_at": row["received_at"],
        "forward_by": row["forward_by"],
        "answer_by": row["answer_by"],
        "deadlines": [
            *_deadline("forward", "forward_by", "forwarded_at", row, timeline, now),
            *_deadline("answer", "answer_by", "answered_at", row, timeline, now),
            *_reopened_deadline(row, now),
        ],
        "question": row["question"],
        "answer": row["answer"],
        "timeline": [
            {
                "at": entry["happened_at"],
                "change": entry["change"],
                "text": words.changes.get(entry["change"], words.any_change),
                "administration": named(entry["administration"]),
                "details": entry["details"],
            }
            for entry in timeline
        ],
    }


def spoken_status(row: Row, now: datetime, language: Spoken) -> str:
    """The same for the telephone: a few short sentences, the reference in groups that a voice reads well."""
    words = WORDS[language]
    reference = ", ".join(row["reference"].split("-")) if language != "ar" else "، ".join(row["reference"].split("-"))
    status = row["status"] or CaseStatus.RECEIVED.value
    sentences = [words.reference.format(reference=reference), words.statuses.get(status, status) + "."]
    sentences += _summary(row, now, language)
    if row["answer"] is not None:
        sentences.append(words.has_answer)
    return " ".join(sentences)


def _summary(row: Row, now: datetime, language: Spoken) -> list[str]:
    """Who has it since when, and the deadline that counts now."""
    words = WORDS[language]
    sentences = []
    holder, other = row["administration"], row["on_behalf_of"]
    if holder is not None and row["held_since"] is not None:
        template = words.held if other is None else words.held_for
        day = words.day(local_day(row["held_since"]))
        sentences.append(template.format(holder=_name(holder, language), other=_name(other, language), day=day))
    if row["status"] in ENDED or row["status"] == CaseStatus.ANSWERED:
        return sentences
    if row["forwarded_at"] is None and row["forward_by"] is not None:
        sentences.append(_time_left(words, words.forward_due, row["forward_by"], now))
    elif row["answer_by"] is not None:
        due = row["reopened_answer_by"] or row["answer_by"]
        sentences.append(_time_left(words, words.answer_due, due, now))
    return sentences


def _time_left(words: Words, due: str, deadline: datetime, now: datetime) -> str:
    left = (local_day(deadline) - local_day(now)).days
    day = words.day(local_day(deadline))
    if left < 0:
        return words.overdue.format(day=day, days=words.count(-left))
    return f"{due.format(day=day, days=words.count(left))}" if left else words.due_today


def _name(code: str | None, language: Spoken) -> str:
    names = named(code)
    return "" if names is None else str(names["name_ar" if language == "ar" else "name_fr"])


def _deadline(step: str, by: str, met: str, row: Row, timeline: Sequence[Row], now: datetime) -> list[dict[str, Any]]:
    """One deadline: days left (negative: overdue) while it runs, whether it was kept, and where it was moved.

    A move is a version of the case with another deadline than the version before; `change` says why.
    """
    deadline = row[by]
    if deadline is None:
        return []
    ended = row[met] is not None or row["status"] in ENDED
    moves = []
    before = None
    for entry in timeline:
        if entry[by] is None:
            continue
        if before is not None and entry[by] != before:
            moves.append({"at": entry["happened_at"], "change": entry["change"], "from": before, "to": entry[by]})
        before = entry[by]
    return [
        {
            "step": step,
            "at": deadline,
            "days_left": None if ended else (local_day(deadline) - local_day(now)).days,
            "overdue": not ended and now > deadline,
            "met_at": row[met],
            "met_in_time": None if row[met] is None else row[met] <= deadline,
            "moved": moves,
        }
    ]


def _reopened_deadline(row: Row, now: datetime) -> list[dict[str, Any]]:
    """The clock of a reopening, beside the first one, which stays as it ended."""
    deadline = row["reopened_answer_by"]
    if deadline is None:
        return []
    ended = row["status"] in ENDED or row["status"] == CaseStatus.ANSWERED
    met_at = row["since"] if row["status"] == CaseStatus.ANSWERED else None
    return [
        {
            "step": "reopened_answer",
            "at": deadline,
            "days_left": None if ended else (local_day(deadline) - local_day(now)).days,
            "overdue": not ended and now > deadline,
            "met_at": met_at,
            "met_in_time": None if met_at is None else met_at <= deadline,
            "moved": [],
        }
    ]
