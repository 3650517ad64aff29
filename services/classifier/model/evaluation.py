"""Figures about predictions whose truth is known. Pure: no files, no model."""

from collections import Counter
from collections.abc import Callable, Sequence
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


def _correct(examples: Sequence[Example], answers: Sequence[Prediction]) -> list[bool]:
    return [e.administration == a.administration for e, a in zip(examples, answers, strict=True)]


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
