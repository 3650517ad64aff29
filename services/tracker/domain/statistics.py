"""What one complaint adds to the statistics, and the figures made of the sums. Pure.

The statistics are sums over complaints: a projection adds what a complaint says now and takes away what it said
before, so they are kept without scanning, and handling an event again changes nothing. Cohorts are weeks of receipt
(Monday, in Morocco), so that a figure of a week only ever gets more complete.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from services.tracker.domain.complaint import Complaint, local_day

ALL = "all"
DIMENSIONS = (ALL, "administration", "nature", "region", "province", "channel")
"""What figures are told apart by; the value of `all` is the empty text, of what is not known yet too."""

MEASURES = ("forward", "answer")
"""The two things that are timed from receipt: handing over, and the first answer."""

COUNTERS = (
    "received",
    "forwarded",
    "forwarded_on_time",
    "answered",
    "answered_on_time",
    "inadmissible",
    "misrouted",
    "hops",
    "reopened",
)
"""The columns of `weekly_statistics`."""

LONGEST_DURATION = 400
"""Days; what took longer counts as this long."""

_ENDED_WITHOUT_ANSWER = ("inadmissible", "withdrawn")
_Z = 1.959964
"""The normal quantile of a 95 % interval."""

Weekly = tuple[str, str, date]
"""Dimension, value, week."""
Waiting = tuple[str, str, str, date, date]
"""Dimension, value, measure, day of receipt, day of the deadline."""
Lasted = tuple[str, str, date, str, int]
"""Dimension, value, week, measure, days."""


class Facts(NamedTuple):
    """What one complaint says; two complaints that say the same have equal facts."""

    values: tuple[str, ...]
    week: date
    received_on: date
    counts: tuple[int, ...]
    waiting: tuple[tuple[str, date], ...]
    lasted: tuple[tuple[str, int], ...]


def facts_of(complaint: Complaint) -> Facts | None:
    """The facts of a complaint; None until its submission was read."""
    if complaint.access_code_key is None or complaint.received_at is None:
        return None
    received_on = local_day(complaint.received_at)
    inadmissible = complaint.status in _ENDED_WITHOUT_ANSWER
    waiting: list[tuple[str, date]] = []
    lasted: list[tuple[str, int]] = []
    on_time = []
    steps = (
        ("forward", complaint.forwarded_at, complaint.forward_by),
        ("answer", complaint.answered_at, complaint.answer_by),
    )
    for measure, done_at, due_at in steps:
        on_time.append(int(done_at is not None and due_at is not None and done_at <= due_at))
        if done_at is not None:
            lasted.append((measure, min(max((local_day(done_at) - received_on).days, 0), LONGEST_DURATION)))
        elif due_at is not None and not inadmissible:
            waiting.append((measure, local_day(due_at)))
    counts = (
        1,
        int(complaint.forwarded_at is not None),
        on_time[0],
        int(complaint.answered_at is not None),
        on_time[1],
        int(inadmissible),
        int(complaint.hops > 0),
        complaint.hops,
        int(complaint.reopened_at is not None),
    )
    values = (
        "",
        complaint.administration or "",
        complaint.nature or "",
        complaint.region or "",
        complaint.province or "",
        complaint.channel or "",
    )
    week = received_on - timedelta(days=received_on.weekday())
    return Facts(values, week, received_on, counts, tuple(waiting), tuple(lasted))


class Sums:
    """Sums of facts, or changes of them. `states` counts complaints with a submission by status ('' for none yet)."""

    def __init__(self) -> None:
        self.weekly: dict[Weekly, list[int]] = {}
        self.waiting: Counter[Waiting] = Counter()
        self.lasted: Counter[Lasted] = Counter()
        self.states: Counter[str] = Counter()

    def replace(self, before: Facts | None, after: Facts | None) -> None:
        """Takes away what a complaint said before and adds what it says now."""
        if before != after:
            self._add(before, -1)
            self._add(after, 1)

    def move(self, before: str | None, after: str | None) -> None:
        """Moves a complaint from one state to another; None means that its submission was not read."""
        if before != after:
            if before is not None:
                self.states[before] -= 1
            if after is not None:
                self.states[after] += 1

    def _add(self, facts: Facts | None, sign: int) -> None:
        if facts is None:
            return
        for dimension, value in zip(DIMENSIONS, facts.values, strict=True):
            counters = self.weekly.setdefault((dimension, value, facts.week), [0] * len(COUNTERS))
            for place, count in enumerate(facts.counts):
                counters[place] += sign * count
            for measure, due_on in facts.waiting:
                self.waiting[dimension, value, measure, facts.received_on, due_on] += sign
            for measure, days in facts.lasted:
                self.lasted[dimension, value, facts.week, measure, days] += sign


def state_of(complaint: Complaint) -> str | None:
    """The key of a complaint in `Sums.states`."""
    return None if complaint.access_code_key is None else complaint.status or ""


class Step(NamedTuple):
    """The share still without the event after `days`, with a 95 % interval, and how many were at risk that day."""

    days: int
    share: float
    low: float
    high: float
    at_risk: int


def kaplan_meier(lasted: Mapping[int, int], waiting: Mapping[int, int]) -> list[Step]:
    """The survival curve: one step for each day on which the event happened to somebody.

    `lasted` counts complaints by days until the event, `waiting` those without it by their age in days: they were at
    risk up to that day, and leaving them out would make every backlog look like good news. The interval is
    Greenwood's on the log(-log) scale (Kalbfleisch and Prentice), which stays within 0..1.
    """
    at_risk = sum(lasted.values()) + sum(waiting.values())
    share, variance, steps = 1.0, 0.0, []
    for days in sorted({*lasted, *waiting}):
        happened = lasted.get(days, 0)
        if happened:
            share *= 1 - happened / at_risk
            if at_risk > happened:
                variance += happened / (at_risk * (at_risk - happened))
            steps.append(Step(days, share, *_around(share, variance), at_risk))
        at_risk -= happened + waiting.get(days, 0)
    return steps


def _around(share: float, variance: float) -> tuple[float, float]:
    if not 0 < share < 1:
        return share, share
    width = _Z * math.sqrt(variance) / abs(math.log(share))
    return share ** math.exp(width), share ** math.exp(-width)


def quantile(steps: Sequence[Step], done: float) -> int | None:
    """The first day by which the share `done` has had its event; None when the curve does not come so far."""
    return next((step.days for step in steps if step.share <= 1 - done + 1e-12), None)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927); 0..1 for no trials."""
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, _Z * _Z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    width = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    return max(0.0, centre - width), min(1.0, centre + width)


def shrunk(results: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Empirical-Bayes shares: each (successes, trials) drawn towards the share of all, the more the fewer its trials.

    Beta-binomial by the method of moments; with no more spread than chance gives, all get the common share.
    """
    counted = {name: (s, n) for name, (s, n) in results.items() if n > 0}
    total = sum(n for _, n in counted.values())
    if total == 0:
        return {}
    mean = sum(s for s, _ in counted.values()) / total
    spread = sum(n * (s / n - mean) ** 2 for s, n in counted.values()) / total
    chance = mean * (1 - mean) * len(counted) / total
    between = spread - chance
    if between <= 0:
        return dict.fromkeys(counted, mean)
    prior = max(mean * (1 - mean) / between - 1, 0.0)
    return {name: (s + prior * mean) / (n + prior) for name, (s, n) in counted.items()}


class Standing(NamedTuple):
    """One row of the league table: `due` complaints were answered or overdue, `on_time` of them answered in time."""

    value: str
    due: int
    on_time: int
    share: float | None
    low: float
    high: float
    shrunk: float | None
    ranks: tuple[int, int]
    """The best and the worst rank that its interval allows."""


def league(results: Mapping[str, tuple[int, int]]) -> list[Standing]:
    """The league table of (on time, due) by value, by shrunk share; nobody is first on three lucky cases."""
    estimates = shrunk(results)
    intervals = {value: wilson(*result) for value, result in results.items()}
    table = []
    for value, (on_time, due) in results.items():
        low, high = intervals[value]
        better = sum(other_low > high for other_low, _ in intervals.values())
        worse = sum(other_high < low for _, other_high in intervals.values())
        share = on_time / due if due else None
        ranks = (better + 1, len(results) - worse)
        table.append(Standing(value, due, on_time, share, low, high, estimates.get(value), ranks))
    return sorted(table, key=lambda row: (row.shrunk is None, -(row.shrunk or 0.0), row.value))


AGES: tuple[tuple[str, int], ...] = (("0-7", 7), ("8-15", 15), ("16-30", 30), ("31-60", 60), ("61+", 10**6))
"""Age classes of the backlog: name and last day."""


def backlog(waiting: Iterable[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    """Open complaints by value and age, from (value, place in AGES, number, overdue of them)."""
    found: dict[str, dict[str, Any]] = {}
    for value, age, number, overdue in waiting:
        ages = dict.fromkeys((name for name, _ in AGES), 0)
        row = found.setdefault(value, {"value": value, "open": 0, "overdue": 0, "by_age": ages})
        row["open"] += number
        row["overdue"] += overdue
        row["by_age"][AGES[age][0]] += number
    return list(found.values())


_BASE = 5
_ROUNDED_BY = 2
_UNCERTAIN = 3
"""How many values a number left out must be able to have, for one who knows all that is published."""


def published(parts: Sequence[int]) -> list[int | None]:
    """The parts of a total, or a total alone, as the public may see them: below five nothing, else rounded to fives.

    Totals are rounded by themselves. When all roundings go the same way, a part left out could still be found by
    taking the others from the total: then the smallest others are left out too, as many as it takes and there are.
    """
    hidden = {place for place, part in enumerate(parts) if part < _BASE}
    larger = sorted(set(range(len(parts))) - hidden, key=lambda place: parts[place])
    while hidden and larger and _values_possible(parts, len(parts) - len(larger), larger) < _UNCERTAIN:
        hidden.add(larger.pop(0))
    return [None if place in hidden else _rounded(part) for place, part in enumerate(parts)]


def _values_possible(parts: Sequence[int], hidden: int, shown: Sequence[int]) -> int:
    """How many values below five one of the `hidden` parts may have, to one who knows the total and those shown."""
    known = sum(_rounded(parts[place]) for place in shown)
    uncertain = _ROUNDED_BY * (len(shown) + 1)
    rest = _rounded(sum(parts)) - known
    lowest = rest - uncertain - (hidden - 1) * (_BASE - 1)
    return len(range(max(lowest, 0), min(rest + uncertain, _BASE - 1) + 1))


def _rounded(number: int) -> int:
    return _BASE * round(number / _BASE)


def week_of(moment: datetime | date) -> date:
    """The Monday of a day, or of an instant in Morocco."""
    day = local_day(moment) if isinstance(moment, datetime) else moment
    return day - timedelta(days=day.weekday())
