"""Honest confidences, learned on texts that the views had not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from services.classifier.model.scoring import Blend, Doubles, Yes, blend, softmax

PRIOR_STRENGTH = 12.0
"""Rows' worth of belief that an administration is as precise as all are together, when its own rows are few."""

OWN_SHARE = 0.3
"""How far an administration's threshold moves from the general one to its own: its rows are few, the rest is chance."""

_START, _PULL, _PULL_OF_BIAS = 0.2, 0.003, 0.002


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which confidence on a text is routed: in general, and for each administration."""

    general: float
    own: dict[str, float]


def fit_blend(signals: Doubles, traits: Doubles, truth: NDArray[np.int64]) -> Blend:
    """The blend with the least log loss."""
    number, width, labels = len(signals), traits.shape[1], signals.shape[2]
    scale = np.maximum(signals.std(axis=(1, 2)), 1e-9)
    even = signals / scale[:, None, None]
    texts = np.arange(len(truth))
    start = np.zeros((number, width))
    start[:, 0] = _START

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        coefficients, bias = flat[: number * width].reshape(number, width), flat[number * width :]
        chances = softmax(blend(even, traits, coefficients, bias))
        lost = -np.log(np.clip(chances[texts, truth], 1e-12, None)).mean()
        lost += _PULL * ((coefficients - start) ** 2).sum() + _PULL_OF_BIAS * (bias**2).sum()
        chances[texts, truth] -= 1.0
        chances /= len(truth)
        slope = np.einsum("nc,knc->kn", chances, even) @ traits + 2 * _PULL * (coefficients - start)
        return float(lost), np.concatenate([slope.ravel(), chances.sum(axis=0) + 2 * _PULL_OF_BIAS * bias])

    found = minimize(loss, np.concatenate([start.ravel(), np.zeros(labels)]), jac=True, method="L-BFGS-B").x
    coefficients = found[: number * width].reshape(number, width) / scale[:, None]
    return Blend(tuple(map(tuple, coefficients.tolist())), tuple(found[number * width :].tolist()))


def fit_yes(evidence: Doubles, yes: NDArray[np.bool_]) -> Yes:
    """The chance of a yes by evidence; the plain share, smoothed, when all answers are alike."""
    if yes.all() or not yes.any():
        share = (yes.sum() + 0.5) / (len(yes) + 1)
        return Yes((0.0,) * evidence.shape[1], float(np.log(share / (1 - share))))
    middle, scale = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-9)
    model = LogisticRegression(C=0.3, max_iter=2000).fit((evidence - middle) / scale, yes)
    coefficients = model.coef_[0] / scale
    return Yes(tuple(coefficients.tolist()), float(model.intercept_[0] - coefficients @ middle))


def settled(yes: Yes, evidence: Doubles, truth: NDArray[np.bool_], weights: Doubles) -> Yes:
    """The same order of chances, at the level that these texts show (Platt's scaling)."""
    level = evidence @ np.array(yes.coefficients) + yes.offset
    model = LogisticRegression(C=1e3, max_iter=2000).fit(level[:, None], truth, sample_weight=weights)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Yes(tuple(slope * one for one in yes.coefficients), slope * yes.offset + offset)


def precision_thresholds(
    confidence: Doubles, right: NDArray[np.bool_], predicted: Sequence[str], target: float, weights: Doubles
) -> Thresholds:
    """The lowest confidences from which the routed rows reach the target precision.

    All rows with at least the threshold count, so that one lucky row does not lower it. An administration of
    few rows is pulled to the general one.
    """
    general = _lowest(confidence, right, weights, target, 0.0)
    names = np.array(predicted)
    own = {}
    for name in sorted(set(predicted)):
        mine = names == name
        lowest = _lowest(confidence[mine], right[mine], weights[mine], target, PRIOR_STRENGTH)
        lowest = float(np.clip(lowest, general - 0.1, min(general + 0.2, 1.0)))
        own[name] = general + OWN_SHARE * (lowest - general)
    return Thresholds(general, own)


def _lowest(confidence: Doubles, right: NDArray[np.bool_], weights: Doubles, target: float, strength: float) -> float:
    if not len(confidence):
        return 1.0
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum((weights * right)[order]) + strength * target
    precision = hits / (np.cumsum(weights[order]) + strength)
    enough = np.flatnonzero(precision >= target)
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0
