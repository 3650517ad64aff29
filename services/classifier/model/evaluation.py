"""Figures about predictions whose truth is known. Pure: no files, no model."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.classifier.model.corpus import Example
from services.classifier.model.prediction import Prediction

Figures = dict[str, Any]

REPEATS = 1_000
SEED = 7
NOT_A_MATTER = ("out_of_scope", "unclear")
"""Reasons of texts of which nine in ten at least must go to a person."""


def macro_f1(truth: Sequence[str], said: Sequence[str]) -> float:
    """The mean F1 of the labels that occur in the truth."""
    right, true, claimed = Counter[str](), Counter(truth), Counter(said)
    right.update(t for t, s in zip(truth, said, strict=True) if t == s)
    return float(np.mean([2 * right[label] / (true[label] + claimed[label]) for label in true])) if true else 0.0


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error over bins of equal width."""
    if not len(confidence):
        return 0.0
    values, hits = np.array(confidence, dtype=np.float64), np.array(right, dtype=np.float64)
    places = np.minimum((values * bins).astype(int), bins - 1)
    gaps = [
        abs(values[places == place].sum() - hits[places == place].sum())
        for place in range(bins)
        if (places == place).any()
    ]
    return float(sum(gaps) / len(values))


def interval(
    values: Sequence[float], statistic: Callable[[NDArray[np.float64]], float] = np.mean
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic of independent rows."""
    array = np.array(values, dtype=np.float64)
    if not len(array):
        return 0.0, 0.0
    draws = np.random.default_rng(SEED).integers(0, len(array), size=(REPEATS, len(array)))
    found = [float(statistic(array[draw])) for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _in_top(example: Example, answer: Prediction) -> bool:
    return any(suggestion.administration == example.administration for suggestion in answer.suggestions)


def summary(examples: Sequence[Example], answers: Sequence[Prediction]) -> Figures:
    """The figures that are promised, on texts with known truth; a question without labels has no figure."""
    pairs = list(zip(examples, answers, strict=True))
    own = [(e, a) for e, a in pairs if e.administration]
    right = [e.administration == a.administration for e, a in own]
    routed = [(e, a) for e, a in pairs if a.decision == "route"]
    figures: Figures = {
        "rows": len(own),
        "top1": _mean(right),
        "top1_interval": [round(bound, 4) for bound in interval([float(hit) for hit in right])],
        "top3": _mean([_in_top(e, a) for e, a in own]),
        "macro_f1": macro_f1([e.administration for e, _ in own], [a.administration for _, a in own]),
        "ece": calibration_error([a.confidence for _, a in own], right),
        "routed": _mean([a.decision == "route" for _, a in own]),
        "routed_precision": _mean([e.administration == a.administration for e, a in routed]),
    }
    figures["languages"] = {
        language: _mean([hit for (e, _), hit in zip(own, right, strict=True) if e.language == language])
        for language in sorted({e.language for e, _ in own if e.language})
    }
    natures = [(e.nature, a.nature) for e, a in own if e.nature]
    kinds = [(e.kind, a.kind) for e, a in own if e.kind]
    figures["nature_macro_f1"] = macro_f1(*_unzipped(natures))
    figures["kind_macro_f1"] = macro_f1(*_unzipped(kinds))
    figures["language"] = _mean([e.language == a.language for e, a in pairs if e.language])
    figures["triaged"] = {
        reason: _mean([a.decision == "triage" for e, a in pairs if e.reason == reason])
        for reason in sorted({e.reason for e in examples if e.reason})
    }
    figures["not_a_matter_triaged"] = _mean([a.decision == "triage" for e, a in pairs if e.reason in NOT_A_MATTER])
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def _mean(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0


def _unzipped(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


@dataclass(frozen=True, slots=True)
class OfOne:
    """How one administration is recognised. `routed`: how many of its rows were routed without a person."""

    rows: int
    recall: float
    precision: float
    f1: float
    top3: float
    routed: int


def per_administration(examples: Sequence[Example], answers: Sequence[Prediction]) -> dict[str, OfOne]:
    """Figures of every administration that occurs, by code."""
    own = [(e, a) for e, a in zip(examples, answers, strict=True) if e.administration]
    found = {}
    for name in sorted({e.administration for e, _ in own}):
        mine = [(e, a) for e, a in own if e.administration == name]
        right = sum(a.administration == name for _, a in mine)
        claimed = sum(a.administration == name for _, a in own)
        found[name] = OfOne(
            len(mine),
            right / len(mine),
            right / claimed if claimed else 0.0,
            2 * right / (len(mine) + claimed),
            _mean([_in_top(e, a) for e, a in mine]),
            sum(a.decision == "route" for _, a in mine),
        )
    return found


def confusions(pairs: Iterable[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    """Pairs of (truth, answer) that differ, most frequent first."""
    counted = Counter(pair for pair in pairs if pair[0] != pair[1])
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def risk_coverage(examples: Sequence[Example], answers: Sequence[Prediction]) -> list[tuple[float, float]]:
    """(share answered, share of those right) for every number of most confident texts, of those with a truth."""
    own = [(a.confidence, e.administration == a.administration) for e, a in zip(examples, answers, strict=True)
           if e.administration]  # fmt: skip
    hits = np.cumsum([right for _, right in sorted(own, key=lambda one: -one[0])])
    return [((place + 1) / len(own), float(hit) / (place + 1)) for place, hit in enumerate(hits)]


def with_typos(examples: Sequence[Example], share: float) -> list[Example]:
    """The texts with letters left out, doubled or swapped with the next, in about `share` of the letters. Seeded."""
    random = np.random.default_rng(SEED)

    def typed(text: str) -> str:
        letters = list(text)
        for place in np.flatnonzero(random.random(len(letters)) < share):
            if letters[place].isalpha():
                following = letters[place + 1] if place + 1 < len(letters) else ""
                if following.isalpha() and random.random() < 1 / 3:
                    letters[place], letters[place + 1] = following, letters[place]
                else:
                    letters[place] = "" if random.random() < 1 / 2 else letters[place] * 2
        return "".join(letters)

    return [replace(example, text=typed(example.text)) for example in examples]
