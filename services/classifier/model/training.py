"""Training: the heads, their calibration on texts not learned from, and figures by cross-validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from services.classifier.model import artefact as files
from services.classifier.model.artefact import HEADS, ROUTABLE, Artefact, Calibration, Head, quantised
from services.classifier.model.calibration import fit_blend, fit_yes, precision_thresholds, settled
from services.classifier.model.corpus import LEXICON, CorpusError, Example, Term, of_labels, read_lexicon
from services.classifier.model.evaluation import summary
from services.classifier.model.features import BLOCKS, Vocabulary
from services.classifier.model.judging import judge, scope_evidence, scores_of, signals_of, traits_of
from services.classifier.model.linear import SEED, Linear, Recipe, learn, matrix_of
from services.classifier.model.prediction import Model, Prediction, is_long_enough
from services.classifier.model.scoring import ABOUT, JOINT, TIFINAGH, Doubles, Yes, certainty, softmax, traits
from services.classifier.model.text import Reading, read

FOLDS = 5
Progress = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


def quiet(done: int, of: int) -> None:
    """Shows no progress."""


TARGET_PRECISION = 0.935
"""Half a point above what is promised of routed rows: so much is lost on rows outside those it was chosen on."""

RECIPES = {
    "administration": Recipe(cost=0.2, smoothing=0.1),
    "nature": Recipe(cost=0.2, smoothing=0.3, balanced=True),
    "kind": Recipe(cost=0.2, balanced=True, views=(JOINT,)),
    "language": Recipe(cost=0.5, views=(JOINT,)),
    "scope": Recipe(cost=0.2, balanced=True, views=(JOINT,)),
}
LEXICON_FOR_ROWS = 150
"""Up to how many rows per administration the lexicon still helps; with more, the rows know better."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything one training run reads."""

    examples: Sequence[Example]
    readings: Sequence[Reading]
    terms: dict[str, list[Term]]
    term_words: dict[str, list[tuple[str, ...]]]

    def labels(self, question: str) -> list[str]:
        """The label of every example for a question; empty where it has none or does not count."""
        return [_label(question, example) for example in self.examples]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The heads learned from some of the examples."""

    vocabulary: Vocabulary
    heads: dict[str, Linear]

    def sums(self, matrix: csr_matrix) -> Doubles:
        """Sums of the weights of every head, one head after the other: texts x blocks x columns."""
        if not self.heads:
            return np.zeros((matrix.shape[0], len(BLOCKS), 0))
        weights = np.hstack([head.weights for head in self.heads.values()])
        ends = np.cumsum([0, *self.vocabulary.blocks])
        columns = matrix.tocsc()
        parts = [columns[:, start:end] @ weights[start:end] for start, end in pairwise(ends)]
        return np.stack(parts, axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Unseen:
    """What models that had not learned from an example make of it: its sums and traits, and its fold."""

    sums: Doubles
    about: Doubles
    folds: NDArray[np.int64]


def train(
    examples: Sequence[Example],
    lexicon: Path | None = LEXICON,
    data_hash: str = "",
    progress: Progress = quiet,
    provenance: Mapping[str, Any] | None = None,
    validation: Sequence[Example] = (),
) -> Artefact:
    """Learn a model of any label set. Deterministic. Raises CorpusError when there is too little to learn from.

    `validation` are texts of other writers, a hundred or more, which only settle how sure the model is of itself.
    """
    if len({example.administration for example in examples if example.administration}) < 2:
        raise CorpusError("At least two administrations are needed to learn from.")
    lesson = _prepare(examples, lexicon)
    draft = _artefact(_fit(lesson, np.arange(len(examples))), data_hash)
    progress(1, FOLDS + 3)
    unseen = _unseen(lesson, draft, progress)
    calibrated = replace(draft, calibration=_calibrate(draft, lesson, unseen, np.arange(len(examples))))
    if validation:
        calibrated = replace(calibrated, calibration=_settled(calibrated, lesson, unseen, validation))
    progress(FOLDS + 2, FOLDS + 3)
    metrics = _metrics(draft, lesson, unseen)
    progress(FOLDS + 3, FOLDS + 3)
    return replace(calibrated, metrics=metrics, provenance=provenance or {})


def _label(question: str, example: Example) -> str:
    if question == "scope":
        return example.reason or ROUTABLE
    if question == "language":
        return example.language
    if not example.administration:
        return ""
    return {"administration": example.administration, "nature": example.nature, "kind": example.kind}[question]


def _prepare(examples: Sequence[Example], lexicon: Path | None) -> Lesson:
    readings = [read(example.text) for example in examples]
    terms: dict[str, list[Term]] = {}
    for question in HEADS:
        counted = [label for example in examples if (label := _label(question, example))]
        labels = set(counted)
        if len(labels) < 2:
            continue
        known = read_lexicon(lexicon, "administration" if question == "language" else question) if lexicon else []
        if question == "language":
            known = [replace(term, label=term.language) for term in known]
        if question == "administration" and len(counted) > LEXICON_FOR_ROWS * len(labels):
            known = []
        terms[question] = of_labels(known, labels)
    words = {question: [read(term.text).words for term in listed] for question, listed in terms.items()}
    return Lesson(examples, readings, terms, words)


def _fit(lesson: Lesson, chosen: NDArray[np.int64]) -> Fitted:
    distinct = {words for question in lesson.terms if question != "language" for words in lesson.term_words[question]}
    texts = [lesson.readings[place].words for place in chosen]
    vocabulary = Vocabulary.of(texts, sorted(distinct))
    matrix = matrix_of([vocabulary.row(words) for words in texts], len(vocabulary))
    heads = {}
    for question, terms in lesson.terms.items():
        labels = lesson.labels(question)
        taken = [position for position, place in enumerate(chosen) if labels[place]]
        learned = [labels[chosen[position]] for position in taken] + [term.label for term in terms]
        parts = [matrix[taken]]
        if terms:
            parts.append(matrix_of([vocabulary.row(words) for words in lesson.term_words[question]], len(vocabulary)))
        if len(set(learned)) < 2:
            continue
        recipe = RECIPES[question]
        weights = np.r_[np.ones(len(taken)), np.full(len(terms), recipe.term_weight)]
        heads[question] = learn(vstack(parts).tocsr(), vocabulary.blocks, learned, weights, recipe)
    return Fitted(vocabulary, heads)


def _folds(lesson: Lesson) -> NDArray[np.int64]:
    # Every label is dealt out to the folds in turn, so that each fold has its share of each.
    keys = [(example.administration or example.reason, example.language) for example in lesson.examples]
    shuffled = np.random.default_rng(SEED).permutation(len(keys))
    folds = np.zeros(len(keys), dtype=np.int64)
    folds[sorted(shuffled, key=lambda place: keys[place])] = np.arange(len(keys)) % FOLDS
    return folds


def _unseen(lesson: Lesson, whole: Artefact, progress: Progress) -> Unseen:
    folds = _folds(lesson)
    width = whole.weights.shape[1]
    sums = np.zeros((len(folds), len(BLOCKS), width))
    about = np.zeros((len(folds), len(ABOUT)))
    for fold in np.unique(folds).tolist():
        fitted = _fit(lesson, np.flatnonzero(folds != fold))
        places = np.flatnonzero(folds == fold)
        readings = [lesson.readings[int(place)] for place in places]
        rows = [fitted.vocabulary.row(reading.words) for reading in readings]
        own = np.zeros((len(places), len(BLOCKS), width))
        own[:, :, _columns(fitted, whole)] = fitted.sums(matrix_of(rows, len(fitted.vocabulary)))
        sums[places] = own
        about[places] = traits_of(whole, readings, fitted.vocabulary, own)
        progress(fold + 2, FOLDS + 3)
    return Unseen(sums, about, folds)


def _columns(part: Fitted, whole: Artefact) -> list[int]:
    # A label of very few rows may be absent from a fold: its columns then stay as they are.
    columns = []
    for question, own in part.heads.items():
        head = whole.heads[question]
        columns += [
            head.first + view * len(head.labels) + head.labels.index(label)
            for view in range(len(head.views))
            for label in own.labels
        ]
    return columns


def _artefact(fitted: Fitted, data_hash: str) -> Artefact:
    heads = {}
    first = 0
    for question, head in fitted.heads.items():
        heads[question] = Head(head.labels, head.views, first)
        first += head.weights.shape[1]
    weights, scales = quantised(np.hstack([head.weights for head in fitted.heads.values()]))
    offsets = np.concatenate([head.offset for head in fitted.heads.values()])
    nothing = Calibration({}, Yes((), 0.0), None, 1.0, {})
    return Artefact(
        fitted.vocabulary,
        weights,
        scales,
        offsets,
        heads,
        nothing,
        data_hash,
        files.code_hash(),
        metrics={},
        provenance={},
    )


def _calibrate(draft: Artefact, lesson: Lesson, unseen: Unseen, chosen: NDArray[np.int64]) -> Calibration:
    sums, about = unseen.sums[chosen], unseen.about[chosen]
    blends = {}
    for question, head in draft.heads.items():
        if len(head.views) == 1:
            continue
        truth = _truth(lesson, question, head.labels)[chosen]
        known = truth >= 0
        blends[question] = fit_blend(signals_of(draft, question, sums[known]), traits(about[known]), truth[known])
    calibration = Calibration(blends, Yes((), 0.0), None, 1.0, {})
    blended = replace(draft, calibration=calibration)
    labels = draft.heads["administration"].labels
    truth = _truth(lesson, "administration", labels)[chosen]
    routable = truth >= 0
    chances = softmax(scores_of(blended, "administration", sums, about))
    evidence = certainty(chances, signals_of(draft, "administration", sums), about)
    right = chances.argmax(axis=1) == truth
    sure = fit_yes(evidence[routable], right[routable])
    scope = None
    if "scope" in draft.heads:
        scope = fit_yes(scope_evidence(draft, sums, chances, sure.chances(evidence), about), routable)
    calibration = replace(calibration, right=sure, routable=scope)
    readings = [lesson.readings[int(place)] for place in chosen]
    alike = np.ones(len(chosen))
    return _with_thresholds(replace(draft, calibration=calibration), readings, sums, about, right, alike)


def _settled(artefact: Artefact, lesson: Lesson, unseen: Unseen, validation: Sequence[Example]) -> Calibration:
    """Confidences and thresholds at the level of two kinds of texts: the corpus's own, and those of other writers.

    The corpus is written to be hard, so confidences learned on it alone are too low elsewhere, and those of other
    writers alone would be too high for what is hard: both together count the same.
    """
    model = Model(artefact)
    others = [read(example.text) for example in validation]
    sums, about = model.evidence(others, [artefact.vocabulary.row(reading.words) for reading in others])
    sums, about = np.concatenate([unseen.sums, sums]), np.concatenate([unseen.about, about])
    readings, truth = [*lesson.readings, *others], [e.administration for e in (*lesson.examples, *validation)]
    weights = np.repeat([len(others) / len(lesson.readings), 1.0], [len(lesson.readings), len(others)])
    chances = softmax(scores_of(artefact, "administration", sums, about))
    right = np.array([model.labels[p] == true for p, true in zip(chances.argmax(axis=1), truth, strict=True)])
    routable = np.array([bool(true) for true in truth])
    evidence = certainty(chances, signals_of(artefact, "administration", sums), about)
    calibration = artefact.calibration
    sure = settled(calibration.right, evidence[routable], right[routable], weights[routable])
    scope = calibration.routable
    if scope is not None and not routable.all():
        of_scope = scope_evidence(artefact, sums, chances, sure.chances(evidence), about)
        scope = settled(scope, of_scope, routable, weights)
    judging = replace(artefact, calibration=replace(calibration, right=sure, routable=scope))
    return _with_thresholds(judging, readings, sums, about, right, weights)


def _with_thresholds(
    judging: Artefact,
    readings: Sequence[Reading],
    sums: Doubles,
    about: Doubles,
    right: NDArray[np.bool_],
    weights: Doubles,
) -> Calibration:
    judged = judge(judging, sums, about)
    # The rules that come before the threshold have already sent the others to a person.
    asked = np.array([is_long_enough(reading) and not reading.suspicious for reading in readings])
    counted = asked & (judged.routable >= 0.5) & (about[:, TIFINAGH] == 0)
    labels = judging.heads["administration"].labels
    thresholds = precision_thresholds(
        (judged.right * judged.routable)[counted],
        right[counted],
        [labels[place] for place in judged.chances.argmax(axis=1)[counted]],
        TARGET_PRECISION,
        weights[counted],
    )
    return replace(judging.calibration, general_threshold=thresholds.general, thresholds=thresholds.own)


def _truth(lesson: Lesson, question: str, labels: Sequence[str]) -> NDArray[np.int64]:
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places.get(label, -1) for label in lesson.labels(question)])


def _metrics(draft: Artefact, lesson: Lesson, unseen: Unseen) -> dict[str, Any]:
    """Figures on texts that neither the heads nor the calibration had seen."""
    answers = unseen_answers(draft, lesson, unseen)
    return {"cross-validation": summary(lesson.examples, answers)}


def unseen_answers(draft: Artefact, lesson: Lesson, unseen: Unseen) -> list[Prediction]:
    """The answer to every example of models and a calibration that had not learned from it."""
    answers: dict[int, Prediction] = {}
    for fold in np.unique(unseen.folds).tolist():
        calibration = _calibrate(draft, lesson, unseen, np.flatnonzero(unseen.folds != fold))
        model = Model(replace(draft, calibration=calibration))
        places = np.flatnonzero(unseen.folds == fold).tolist()
        readings = [lesson.readings[place] for place in places]
        found = model.answers(readings, unseen.sums[places], unseen.about[places])
        answers.update(zip(places, found, strict=True))
    return [answers[place] for place in range(len(unseen.folds))]
