"""The state of a complaint on a date, for a court or the Mediator. The timeline is the source. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.tracker.domain.complaint import named

Row = Mapping[str, Any]


def state_as_of(entries: Sequence[Row], moment: datetime) -> dict[str, Any] | None:
    """What was true at `moment`, from the timeline in order; None before the first version of the case.

    `answer` is what had been answered (or the reason why there would be none) by then.
    """
    past = [entry for entry in entries if entry["happened_at"] <= moment]
    versions = sorted((e for e in past if e["version"] is not None), key=lambda e: int(e["version"]))
    if not versions:
        return None
    last = versions[-1]
    return {
        "as_of": moment,
        "version": last["version"],
        "status": last["status"],
        "since": _since(versions),
        "administration": named(last["administration"]),
        "on_behalf_of": named(last["on_behalf_of"]),
        "forward_by": last["forward_by"],
        "answer_by": last["answer_by"],
        "hops": last["hops"],
        "answer": last["details"] if last["status"] in ("answered", "inadmissible") else None,
        "timeline": [dict(entry) for entry in past],
    }


def _since(versions: Sequence[Row]) -> datetime:
    """When the last run of versions with the present status and holder began."""
    last = versions[-1]
    since: datetime = last["happened_at"]
    for entry in reversed(versions):
        if (entry["status"], entry["administration"]) != (last["status"], last["administration"]):
            break
        since = entry["happened_at"]
    return since
