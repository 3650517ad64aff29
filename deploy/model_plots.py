"""The pictures of the report on a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Without these, the same picture is another file every time.
matplotlib.rcParams["svg.hashsalt"] = "chikaya"
_METADATA = {"Date": None, "Creator": None}


def risk_coverage(file: Path, points: Sequence[tuple[float, float]]) -> None:
    """How precise the most confident share of the texts is, against that share."""
    figure, axes = _axes("share of the texts answered", "share of them right")
    axes.plot([share for share, _ in points], [precision for _, precision in points])
    axes.axhline(0.93, linestyle="--", linewidth=0.8, color="grey")
    axes.axvline(0.55, linestyle="--", linewidth=0.8, color="grey")
    axes.set_xlim(0, 1)
    _save(figure, file)


def reliability(file: Path, confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> None:
    """How often the first answer is right, against how sure it was said."""
    figure, axes = _axes("confidence", "share right")
    axes.plot([0, 1], [0, 1], linestyle="--", linewidth=0.8, color="grey")
    values, hits = np.array(confidence), np.array(right, dtype=float)
    places = np.minimum((values * bins).astype(int), bins - 1)
    filled = [place for place in range(bins) if (places == place).any()]
    means = [(values[places == place].mean(), hits[places == place].mean()) for place in filled]
    axes.plot([x for x, _ in means], [y for _, y in means], marker="o")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _save(figure, file)


def learning_curve(file: Path, points: Sequence[tuple[int, float, float]]) -> None:
    """Top-1 and top-3 against the number of texts learned from."""
    figure, axes = _axes("texts learned from", "accuracy on the frozen set")
    axes.plot([n for n, _, _ in points], [top1 for _, top1, _ in points], marker="o", label="top-1")
    axes.plot([n for n, _, _ in points], [top3 for _, _, top3 in points], marker="o", label="top-3")
    axes.legend()
    _save(figure, file)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata=_METADATA)
