"""Linear models with scikit-learn: support vector machines and naive Bayes, seen as views of one text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC

from services.classifier.model.features import Floats, Row
from services.classifier.model.scoring import BAYES, JOINT, PARTS

SEED = 20260417


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one set of labels is learned. Chosen by cross-validation on the corpus.

    `views`: JOINT alone is one machine over all features; with PARTS and BAYES the views are blended afterwards.
    """

    cost: float = 0.2
    smoothing: float = 0.1
    term_weight: float = 1.0
    balanced: bool = False
    views: tuple[str, ...] = (JOINT, PARTS, BAYES)


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights of the features for every label in every view: `labels` columns a view, one view after the other."""

    labels: tuple[str, ...]
    views: tuple[str, ...]
    weights: Floats
    offset: Floats


def matrix_of(rows: Sequence[Row], width: int) -> csr_matrix:
    """The rows as one sparse matrix."""
    ends = np.cumsum([0, *(len(row.positions) for row in rows)])
    positions = np.concatenate([row.positions for row in rows])
    values = np.concatenate([row.weights for row in rows])
    return csr_matrix((values, positions, ends), shape=(len(rows), width))


def learn(
    matrix: csr_matrix, blocks: Sequence[int], labels: Sequence[str], weights: NDArray[np.float64], recipe: Recipe
) -> Linear:
    """All views of one set of labels; `blocks` are the widths of the matrix's blocks of features.

    Needs two labels or more. Deterministic: the same rows give the same numbers.
    """
    names = tuple(sorted(set(labels)))
    columns, offsets = [], []
    for view in recipe.views:
        if view == BAYES:
            found, offset = _bayes(matrix, labels, weights, recipe), np.zeros(len(names))
        elif view == PARTS:
            # Offsets of the parts are left to the blend.
            ends = np.cumsum([0, *blocks])
            parts = csc_matrix(matrix)
            found = np.vstack(
                [_machine(parts[:, start:end].tocsr(), labels, weights, recipe)[0] for start, end in pairwise(ends)]
            )
            offset = np.zeros(len(names))
        else:
            found, offset = _machine(matrix, labels, weights, recipe)
        columns.append(found.astype(np.float32))
        offsets.append(offset.astype(np.float32))
    return Linear(names, recipe.views, np.hstack(columns), np.concatenate(offsets))


def _machine(
    matrix: csr_matrix, labels: Sequence[str], weights: NDArray[np.float64], recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    number = len(set(labels))
    if not matrix.shape[1]:
        return np.zeros((0, number)), np.zeros(number)
    machine = LinearSVC(C=recipe.cost, random_state=SEED, class_weight="balanced" if recipe.balanced else None)
    machine.fit(matrix, labels, sample_weight=weights)
    margins, offset = machine.coef_.T, machine.intercept_
    if number == 2:
        margins, offset = np.hstack([-margins, margins]), np.hstack([-offset, offset])
    return margins, offset


def _bayes(
    matrix: csr_matrix, labels: Sequence[str], weights: NDArray[np.float64], recipe: Recipe
) -> NDArray[np.float64]:
    bayes = ComplementNB(alpha=recipe.smoothing)
    bayes.fit(matrix, labels, sample_weight=weights)
    likelihoods = np.asarray(bayes.feature_log_prob_.T, dtype=np.float64)
    # What all labels share changes nothing; without it the weights fit into fewer bits.
    return np.asarray(likelihoods - likelihoods.mean(axis=1, keepdims=True))
