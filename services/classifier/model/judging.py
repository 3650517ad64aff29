"""From the sums of a model's weights to chances, by its calibration; training and prediction share it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.classifier.model.artefact import Artefact
from services.classifier.model.features import Vocabulary
from services.classifier.model.scoring import ABOUT, Doubles, certainty, signals, softmax, spread, traits
from services.classifier.model.text import Reading, script_of

DARIJA_IN_LATIN = "ary-latn"
LANGUAGES_OF_SCRIPT = {
    "tifinagh": ("zgh",),
    "arabic": ("ar", "ary"),
    "latin": ("fr", DARIJA_IN_LATIN, "en"),
    "none": ("",),
}
"""Languages by script; the first is the answer of a model that has learned none of them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """For each text: the chances of the administrations, of the first being right, and of being one to route."""

    chances: Doubles
    right: Doubles
    routable: Doubles


def traits_of(artefact: Artefact, readings: Sequence[Reading], vocabulary: Vocabulary, sums: Doubles) -> Doubles:
    """What calibration uses of each text besides its sums, in the order of `scoring.ABOUT`."""
    about = np.zeros((len(readings), len(ABOUT)))
    for place, reading in enumerate(readings):
        number = len(reading.words)
        script = script_of(reading.words)
        share = sum(map(vocabulary.knows, reading.words)) / number if number else 0.0
        about[place, :4] = np.log1p(number), share, script == "arabic", script == "tifinagh"
    if "language" in artefact.heads:
        labels = artefact.heads["language"].labels
        said = scores_of(artefact, "language", sums, about)
        among = [labels.index(one) for one in LANGUAGES_OF_SCRIPT["latin"] if one in labels]
        if DARIJA_IN_LATIN in labels:
            best = np.array(among)[said[:, among].argmax(axis=1)]
            latin = (about[:, 2] == 0) & (about[:, 3] == 0)
            about[:, 4] = latin & (best == labels.index(DARIJA_IN_LATIN))
    return about


def signals_of(artefact: Artefact, question: str, sums: Doubles) -> Doubles:
    """The signals of a question: signals x texts x labels."""
    head = artefact.heads[question]
    return signals(
        sums[:, :, head.columns], artefact.offsets[head.columns].astype(np.float64), head.views, len(head.labels)
    )


def scores_of(artefact: Artefact, question: str, sums: Doubles, about: Doubles) -> Doubles:
    """The scores of the labels of a question: texts x labels. Without a blend, the first signal alone."""
    found = signals_of(artefact, question, sums)
    blend = artefact.calibration.blends.get(question)
    return np.asarray(found[0] if blend is None else blend.scores(found, traits(about)), dtype=np.float64)


def judge(artefact: Artefact, sums: Doubles, about: Doubles) -> Judged:
    """Chances by the artefact's calibration."""
    chances = softmax(scores_of(artefact, "administration", sums, about))
    evidence = certainty(chances, signals_of(artefact, "administration", sums), about)
    right = artefact.calibration.right.chances(evidence)
    routable = np.ones(len(sums))
    if artefact.calibration.routable is not None:
        routable = artefact.calibration.routable.chances(scope_evidence(artefact, sums, chances, right, about))
    return Judged(chances, right, routable)


def scope_evidence(artefact: Artefact, sums: Doubles, chances: Doubles, right: Doubles, about: Doubles) -> Doubles:
    """What tells a text to route from one for a person."""
    return np.hstack([signals_of(artefact, "scope", sums)[0], spread(chances), right[:, None], about])
