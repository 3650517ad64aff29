"""From sums of weights to chances, with numpy alone: what training fits and prediction applies is written once, here.

`Sums` are, for every text, block of features and column of weights, the sum of weights times features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

JOINT, PARTS, BAYES = "joint", "parts", "bayes"
"""Views: one machine over all features; one machine for each block of features; naive Bayes, block by block."""

ABOUT = ("logarithm of the number of words", "share of known words", "Arabic script", "Tifinagh", "Latin Darija")
"""What is known of a text besides its sums, in this order."""

TIFINAGH = 3
LEAST_CHANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Blend:
    """How the signals of one question are pooled: coefficients (signals x traits), and a bias of each label."""

    coefficients: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]

    def scores(self, signals: Doubles, traits: Doubles) -> Doubles:
        """Scores of the labels: texts x labels."""
        return blend(signals, traits, np.array(self.coefficients), np.array(self.bias))


@dataclass(frozen=True, slots=True)
class Yes:
    """The chance of a yes by evidence: a logistic regression as numbers."""

    coefficients: tuple[float, ...]
    offset: float

    def chances(self, evidence: Doubles) -> Doubles:
        """One chance for each row of evidence."""
        return logistic(evidence @ np.array(self.coefficients) + self.offset)


def signals(sums: Doubles, offsets: Doubles, views: Sequence[str], labels: int) -> Doubles:
    """What each view says, centred: signals x texts x labels. A view by blocks gives a signal for each block."""
    found = []
    for place, view in enumerate(views):
        own = slice(place * labels, (place + 1) * labels)
        if view == JOINT:
            found.append(sums[:, :, own].sum(axis=1) + offsets[own])
        else:
            found += [sums[:, block, own] for block in range(sums.shape[1])]
    stacked = np.stack(found)
    return np.asarray(stacked - stacked.mean(axis=2, keepdims=True), dtype=np.float64)


def traits(about: Doubles) -> Doubles:
    """What the weight of a signal may depend on: rows of (1, length, known words, script …)."""
    return np.hstack([np.ones((len(about), 1)), about])


def blend(signals: Doubles, traits: Doubles, coefficients: Doubles, bias: Doubles) -> Doubles:
    """Scores of the labels: the signals, each weighed by the traits of the text, and a bias of each label."""
    return np.asarray(np.einsum("nk,knc->nc", traits @ coefficients.T, signals) + bias, dtype=np.float64)


def softmax(scores: Doubles) -> Doubles:
    """Chances that sum to 1 in every row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def spread(chances: Doubles) -> Doubles:
    """How sure the chances are of themselves: logarithms of the first two, their gap, the entropy."""
    ordered = -np.sort(-chances, axis=1)
    second = ordered[:, 1] if ordered.shape[1] > 1 else np.zeros(len(ordered))
    entropy = -(chances * np.log(np.clip(chances, LEAST_CHANCE, None))).sum(axis=1)
    logarithms = np.log(np.clip(np.column_stack([ordered[:, 0], second]), LEAST_CHANCE, None))
    return np.column_stack([logarithms, ordered[:, 0] - second, entropy])


def certainty(chances: Doubles, signals: Doubles, about: Doubles) -> Doubles:
    """What tells a right first label from a wrong one: the spread, the traits, and how far each signal agrees."""
    texts, best = np.arange(len(chances)), chances.argmax(axis=1)
    columns = [spread(chances), about]
    for signal in signals:
        others = signal.copy()
        others[texts, best] = -np.inf
        margin = signal[texts, best] - others.max(axis=1)
        columns.append(np.column_stack([margin, margin > 0]))
    return np.hstack(columns).astype(np.float64)


def logistic(values: Doubles) -> Doubles:
    """Chances of a yes."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0))), dtype=np.float64)
