"""The first model: which administration's own words does the text use? Honest, small, and replaceable."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.contracts.administrations import MUNICIPAL, Administration
from shared.contracts.envelope import Event
from shared.contracts.events import (
    Candidate,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Language,
    Nature,
    personal_content,
)

MODEL_VERSION = "lexicon-1"

_SOURCE = "/chikaya/classifier"
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[\u064b-\u065f\u0670\u0640]")
_LETTERS = str.maketrans("أإآىة", "ااايه")
_ROUTE_FROM = 0.25


def words(text: str) -> list[str]:
    """Words in one spelling: no accents, no vowel marks, one alif, no Arabic article."""
    plain = unicodedata.normalize("NFKD", _MARKS.sub("", text.translate(_LETTERS)).lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word[2:] if word.startswith("ال") and len(word) > 4 else word for word in _WORD.findall(plain)]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Weights of terms per administration: a term few bodies share says more."""

    terms: dict[tuple[str, ...], dict[str, float]]
    longest: int

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


def classify(submitted: Event[ComplaintSubmitted], lexicon: Lexicon) -> ComplaintClassified:
    """The classification of a complaint. A body named by the citizen wins unless the complaint is against it."""
    data = submitted.data
    content = personal_content(data.personal)
    candidates = lexicon.candidates(f"{content.subject}\n{content.text}")
    named = data.named_administration
    if named is not None and not data.against_named_administration:
        candidates = (Candidate(administration=named, confidence=0.9), *candidates)[:3]
    certain = bool(candidates) and candidates[0].confidence >= _ROUTE_FROM
    return ComplaintClassified(
        complaint_id=data.complaint_id,
        decision=Decision.ROUTE if certain else Decision.TRIAGE,
        reason=None if certain else "low_confidence",
        administration=candidates[0].administration if certain else None,
        candidates=candidates,
        nature=Nature.OTHER,
        kind=data.kind,
        language=data.language or language_of(content.text),
        model_version=MODEL_VERSION,
    )


def language_of(text: str) -> Language:
    """By script: Tifinagh, Arabic, else French."""
    if any("\u2d30" <= c <= "\u2d7f" for c in text):
        return Language.ZGH
    arabic = sum("\u0600" <= c <= "\u06ff" for c in text)
    return Language.AR if arabic * 2 > sum(c.isalpha() for c in text) else Language.FR


def classified_events(
    submitted: Sequence[Event[ComplaintSubmitted]], lexicon: Lexicon
) -> list[Event[ComplaintClassified]]:
    """The events that follow, one for each complaint."""
    return [event.derive("classify", _SOURCE, event.time, classify(event, lexicon)) for event in submitted]
