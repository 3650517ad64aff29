"""The first model: which administration's own words does the text use? Honest, small, and replaceable."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.classifier.domain.triage import TriageItem
from shared.contracts.administrations import MUNICIPAL, Administration
from shared.contracts.envelope import Event
from shared.contracts.events import (
    Candidate,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Language,
    Nature,
    PersonalContent,
    Place,
    personal_content,
)

_SOURCE = "/chikaya/classifier"
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[\u064b-\u065f\u0670\u0640]")
_LETTERS = str.maketrans("أإآىة", "ااايه")
_ROUTE_FROM = 0.25
_NAMED_CONFIDENCE = 0.9


def words(text: str) -> list[str]:
    """Words in one spelling: no accents, no vowel marks, one alif, no Arabic article."""
    plain = unicodedata.normalize("NFKD", _MARKS.sub("", text.translate(_LETTERS)).lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word[2:] if word.startswith("ال") and len(word) > 4 else word for word in _WORD.findall(plain)]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one text. `triage_reason` None means certain enough to route."""

    administration: str | None
    candidates: tuple[Candidate, ...]
    nature: Nature
    language: Language
    triage_reason: str | None
    evidence: tuple[str, ...]
    """The words that decided."""


class Model(Protocol):
    """Predicts whose a complaint is. It never looks at onboarding: that is the dispatcher's."""

    @property
    def version(self) -> str: ...

    def predict(self, texts: Sequence[str], places: Sequence[Place | None]) -> list[Prediction]:
        """One prediction for each text."""
        ...


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Weights of terms per administration: a term few bodies share says more."""

    terms: dict[tuple[str, ...], dict[str, float]]
    longest: int
    version: str = "lexicon-1"

    @classmethod
    def of(cls, administrations: Iterable[Administration]) -> "Lexicon":
        """Built from the registry; the communes share one label, `commune`."""
        owners: dict[tuple[str, ...], set[str]] = {}
        for body in administrations:
            label = MUNICIPAL if body.kind == "commune" else body.code
            for term in (*body.terms, body.name_fr, body.name_ar):
                spelling = tuple(words(term))
                if spelling:
                    owners.setdefault(spelling, set()).add(label)
        labels = len(set().union(*owners.values()))
        terms = {
            term: dict.fromkeys(codes, math.log(labels / len(codes)) * len(term)) for term, codes in owners.items()
        }
        return cls(terms, max(map(len, terms)))

    def candidates(self, text: str) -> tuple[Candidate, ...]:
        """The three likeliest administrations, confidences summing to at most 1."""
        found = words(text)
        scores: dict[str, float] = {}
        for start in range(len(found)):
            for length in range(1, self.longest + 1):
                for code, weight in self.terms.get(tuple(found[start : start + length]), {}).items():
                    scores[code] = scores.get(code, 0.0) + weight
        total = sum(scores.values()) + 1.0
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:3]
        return tuple(Candidate(administration=code, confidence=round(score / total, 4)) for code, score in ranked)

    def predict(self, texts: Sequence[str], places: Sequence[Place | None]) -> list[Prediction]:
        """One prediction for each text."""
        return [self._predict(text) for text in texts]

    def _predict(self, text: str) -> Prediction:
        candidates = self.candidates(text)
        certain = bool(candidates) and candidates[0].confidence >= _ROUTE_FROM
        return Prediction(
            administration=candidates[0].administration if candidates else None,
            candidates=candidates,
            nature=Nature.OTHER,
            language=language_of(text),
            triage_reason=None if certain else "low_confidence",
            evidence=(),
        )


@dataclass(frozen=True, slots=True)
class Classified:
    """The classification of a complaint, and what the triage desk needs when it is left to a person."""

    event: Event[ComplaintClassified]
    triage_item: TriageItem | None


def classify(submitted: Sequence[Event[ComplaintSubmitted]], model: Model) -> list[Classified]:
    """The classification of each complaint. A body the citizen named wins, unless the complaint is against it."""
    contents = [personal_content(event.data.personal) for event in submitted]
    texts = [f"{content.subject}\n{content.text}" for content in contents]
    predictions = model.predict(texts, [event.data.place for event in submitted])
    return [
        _classified(event, content, _with_named_body(event.data, prediction), model.version)
        for event, content, prediction in zip(submitted, contents, predictions, strict=True)
    ]


def _with_named_body(data: ComplaintSubmitted, prediction: Prediction) -> Prediction:
    named = data.named_administration
    if named is None or data.against_named_administration:
        return prediction
    others = tuple(c for c in prediction.candidates if c.administration != named)
    candidates = (Candidate(administration=named, confidence=_NAMED_CONFIDENCE), *others)[:3]
    return replace(prediction, administration=named, candidates=candidates, triage_reason=None)


def _classified(
    submitted: Event[ComplaintSubmitted], content: PersonalContent, prediction: Prediction, version: str
) -> Classified:
    data, reason = submitted.data, prediction.triage_reason
    classified = ComplaintClassified(
        complaint_id=data.complaint_id,
        decision=Decision.ROUTE if reason is None else Decision.TRIAGE,
        reason=reason,
        administration=prediction.administration if reason is None else None,
        candidates=prediction.candidates,
        nature=prediction.nature,
        kind=data.kind,
        language=data.language or prediction.language,
        model_version=version,
    )
    item = None
    if reason is not None:
        item = TriageItem(
            complaint_id=data.complaint_id,
            reference=data.reference,
            received_at=data.received_at,
            subject=content.subject,
            text=content.text,
            kind=data.kind,
            nature=prediction.nature,
            language=classified.language,
            candidates=prediction.candidates,
            evidence=prediction.evidence,
            reason=reason,
            model_version=version,
        )
    return Classified(submitted.derive("classify", _SOURCE, submitted.time, classified), item)


def language_of(text: str) -> Language:
    """By script: Tifinagh, Arabic, else French."""
    if any("\u2d30" <= c <= "\u2d7f" for c in text):
        return Language.ZGH
    arabic = sum("\u0600" <= c <= "\u06ff" for c in text)
    return Language.AR if arabic * 2 > sum(c.isalpha() for c in text) else Language.FR
