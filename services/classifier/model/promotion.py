"""Whether a new model may replace the one in use: it must not be worse on texts that neither learned from."""

from collections.abc import Mapping
from typing import Any

GATED_LANGUAGES = ("fr", "ar", "ary", "ary-latn")

_WITHIN = {"macro_f1": 0.0, "worst_language": 0.0, "ece": 0.01}
"""What counts as no regression. The calibration error moves by as much between two fits of the same quality."""


def worst_language(figures: Mapping[str, Any]) -> float:
    """The accuracy of the language in which it is lowest; languages a test set does not have do not count."""
    return min((figures["languages"][one] for one in GATED_LANGUAGES if one in figures["languages"]), default=0.0)


def regressions(current: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """What got worse, each with both figures; empty when the candidate may be promoted.

    Both are figures of `evaluation.summary` on the same frozen set.
    """
    pairs = {
        "macro_f1": (current["macro_f1"], candidate["macro_f1"]),
        "worst_language": (worst_language(current), worst_language(candidate)),
        "ece": (-current["ece"], -candidate["ece"]),
    }
    return [
        f"{name}: {abs(before):.4f} in use, {abs(after):.4f} new"
        for name, (before, after) in pairs.items()
        if after < before - _WITHIN[name]
    ]
