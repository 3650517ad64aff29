"""What a text is about and whose it is. Needs numpy only; never raises for any text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from services.classifier.model import artefact as files
from services.classifier.model.artefact import ROUTABLE, Artefact
from services.classifier.model.features import Floats, Row
from services.classifier.model.judging import LANGUAGES_OF_SCRIPT, judge, scores_of, traits_of
from services.classifier.model.scoring import LEAST_CHANCE, Doubles
from services.classifier.model.text import Reading, read, script_of

SHIPPED = Path(__file__).with_name("shipped")
"""The model that is shipped."""

LEAST_WORDS = 4
"""A text of fewer words makes every model overconfident: a person reads it."""

DOUBTFUL = 0.3
"""The highest confidence told about a text that is too short, unreadable or meant to trick."""

_TWO_BODIES, _SECOND_BODY = 0.7, 0.25
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An administration and the chance that it is the right one."""

    administration: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text. `reason` is empty when `decision` is `route`.

    `suggestions`: the likeliest administrations, at most three, best first, confidences summing to at most 1;
    `language`: empty for a text without words; `words`: as typed, those that spoke most for the first suggestion.
    """

    suggestions: tuple[Suggestion, ...]
    decision: str
    reason: str
    nature: str
    kind: str
    language: str
    words: tuple[str, ...] = ()

    @property
    def administration(self) -> str:
        """The likeliest administration."""
        return self.suggestions[0].administration

    @property
    def confidence(self) -> float:
        """The chance that the likeliest administration is right."""
        return self.suggestions[0].confidence


class Model:
    """A loaded model. Not safe to share between threads that call it at the same time: it keeps a cache of words."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._impact: Floats = np.zeros(len(artefact.vocabulary), dtype=np.float32)

    @classmethod
    def load(cls, folder: Path = SHIPPED) -> "Model":
        """The model of a folder; raises ArtefactError."""
        return cls(files.load(folder))

    @property
    def version(self) -> str:
        """Names the model's contents: two models of the same version answer alike."""
        return self._artefact.version

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Figures of its training."""
        return self._artefact.metrics

    @property
    def labels(self) -> tuple[str, ...]:
        """The administrations it knows."""
        return self._artefact.heads["administration"].labels

    def predict(self, texts: Sequence[str], *, explain: bool = True) -> list[Prediction]:
        """One prediction per text, in order. `explain` finds the words that decided, at some cost."""
        answers: list[Prediction] = []
        for start in range(0, len(texts), _BATCH):
            answers += self._predict([read(text) for text in texts[start : start + _BATCH]], explain)
        return answers

    def _predict(self, readings: Sequence[Reading], explain: bool) -> list[Prediction]:
        rows = [self._artefact.vocabulary.row(reading.words) for reading in readings]
        return self.answers(readings, *self.evidence(readings, rows), rows if explain else None)

    def evidence(self, readings: Sequence[Reading], rows: Sequence[Row]) -> tuple[Doubles, Doubles]:
        """Sums and traits of texts, from their rows of features."""
        sums = np.array([self._sums(row) for row in rows], dtype=np.float64)
        return sums, traits_of(self._artefact, readings, self._artefact.vocabulary, sums)

    def answers(
        self, readings: Sequence[Reading], sums: Doubles, about: Doubles, rows: Sequence[Row] | None = None
    ) -> list[Prediction]:
        """Predictions from sums and traits; training uses it on sums of models that saw less."""
        judged = judge(self._artefact, sums, about)
        ordered = np.argsort(-judged.chances, axis=1, kind="stable")[:, :3]
        said = {question: scores_of(self._artefact, question, sums, about) for question in self._artefact.heads}
        answers = []
        for place, reading in enumerate(readings):
            best = ordered[place]
            words = self._decisive(rows[place], reading, int(best[0])) if rows else ()
            own = {question: scores[place] for question, scores in said.items()}
            first = float(judged.right[place])
            chances = _with_first(judged.chances[place][best], first)
            answers.append(self._answer(reading, own, chances, best, float(judged.routable[place]), words))
        return answers

    def _sums(self, row: Row) -> Floats:
        held = self._artefact
        block = held.weights[row.positions].astype(np.float32)
        starts = (0, *row.ends[:-1])
        parts = [row.weights[start:end] @ block[start:end] for start, end in zip(starts, row.ends, strict=True)]
        return np.asarray(np.array(parts) * held.scales, dtype=np.float32)

    def _decisive(self, row: Row, reading: Reading, label: int, most: int = 5) -> tuple[str, ...]:
        head = self._artefact.heads["administration"]
        joint = slice(head.first, head.first + len(head.labels))
        block = self._artefact.weights[row.positions, joint].astype(np.float32) * self._artefact.scales[joint]
        self._impact[row.positions] = row.weights * (block[:, label] - block.mean(axis=1))
        found: dict[str, float] = {}
        for word, typed in zip(reading.words, reading.typed, strict=True):
            if len(word) > 1:
                own = self._artefact.vocabulary.positions_of(word)
                found.setdefault(typed, float(self._impact[own].sum()))
        self._impact[row.positions] = 0
        ranked = sorted((item for item in found.items() if item[1] > 0), key=lambda item: -item[1])
        return tuple(typed for typed, _ in ranked[:most])

    def _answer(
        self,
        reading: Reading,
        scores: Mapping[str, Doubles],
        chances: Doubles,
        best: Sequence[int],
        routable: float,
        words: tuple[str, ...],
    ) -> Prediction:
        language = self._language(reading, scores)
        reason = self._reason(reading, scores, chances, self.labels[best[0]], routable, language)
        share = 1.0
        if reason == "too_short" or reading.suspicious:
            share = min(1.0, DOUBTFUL / chances[0])
        elif reason not in ("", "low_confidence", "body_not_unique"):
            share = routable
        suggestions = tuple(
            Suggestion(self.labels[label], round(float(chance) * share, 4))
            for label, chance in zip(best, chances, strict=True)
        )
        return Prediction(
            suggestions,
            decision="triage" if reason else "route",
            reason=reason,
            nature=self._label("nature", scores, "other"),
            kind=self._label("kind", scores, "complaint"),
            language=language,
            words=words,
        )

    def _reason(
        self,
        reading: Reading,
        scores: Mapping[str, Doubles],
        chances: Doubles,
        label: str,
        routable: float,
        language: str,
    ) -> str:
        calibration = self._artefact.calibration
        if not is_long_enough(reading):
            return "too_short"
        if reading.suspicious:
            return "out_of_scope"
        if routable < 0.5:
            return self._label("scope", scores, "unclear", without=ROUTABLE)
        certainty = chances[0] * routable
        if certainty >= calibration.thresholds.get(label, calibration.general_threshold) and language != "zgh":
            return ""
        two = len(chances) > 1 and chances[1] >= _SECOND_BODY and chances[0] + chances[1] >= _TWO_BODIES
        return "body_not_unique" if two else "low_confidence"

    def _label(self, question: str, scores: Mapping[str, Doubles], default: str, without: str = "") -> str:
        head = self._artefact.heads.get(question)
        if head is None:
            return default
        ranked = np.argsort(-scores[question], kind="stable")
        return next((head.labels[place] for place in ranked if head.labels[place] != without), default)

    def _language(self, reading: Reading, scores: Mapping[str, Doubles]) -> str:
        among = LANGUAGES_OF_SCRIPT[script_of(reading.words)]
        head = self._artefact.heads.get("language")
        if head is None or len(among) == 1:
            return among[0]
        own = scores["language"]
        known = [language for language in among if language in head.labels]
        return max(known, key=lambda language: own[head.labels.index(language)], default=among[0])


def _with_first(chances: Doubles, first: float) -> Doubles:
    """The chances when that of the first is known better: the others share the rest, and stay below it."""
    rest = max(1.0 - float(chances[0]), LEAST_CHANCE)
    return np.array([first, *np.minimum(chances[1:] * (1.0 - first) / rest, first)])


def is_long_enough(reading: Reading) -> bool:
    """Whether a text has words enough for a model to be believed."""
    return sum(len(word) > 1 and not word.isdigit() for word in reading.words) >= LEAST_WORDS
