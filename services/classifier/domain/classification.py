"""From what a model says of a text to a decision: hints, bodies that are barred, and when a person decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.classifier.domain.triage import SOURCE, TriageItem
from shared.contracts.administrations import registry
from shared.contracts.envelope import AnyEvent, Event
from shared.contracts.events import (
    Candidate,
    ComplaintClassified,
    ComplaintSubmitted,
    Decision,
    Language,
    Nature,
    PersonalContent,
    TriageRequested,
    personal_content,
)
from shared.contracts.lifecycle import HOPS_BEFORE_A_PERSON

_HINT_CONFIDENCE = 0.9
_HINT_HELPS = (None, "low_confidence", "body_not_unique", "body_barred")
"""A hint does not make a text routable that is spam, too short or possibly inadmissible."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one text. `triage_reason` None means certain enough to route."""

    administration: str | None
    candidates: tuple[Candidate, ...]
    nature: Nature
    language: Language | None
    triage_reason: str | None
    evidence: tuple[str, ...]
    """The words that decided."""
    model_version: str


class Model(Protocol):
    """Predicts whose a complaint is. It never looks at onboarding: that is the dispatcher's."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction for each text. Takes a processor for a while; may be called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Classified:
    """The classification of a complaint, and what the triage desk needs when it is left to a person."""

    event: Event[ComplaintClassified]
    triage_item: TriageItem | None


@dataclass(frozen=True, slots=True)
class _Request:
    """What there is to know of a complaint that is classified for the first time or again."""

    event: AnyEvent
    round: int
    hint: str | None
    barred: frozenset[str]


def classify(events: Sequence[AnyEvent], model: Model) -> list[Classified]:
    """The classification of each complaint submitted (`ComplaintSubmitted`) or come back (`TriageRequested`)."""
    requests = [_request(event) for event in events]
    contents = [personal_content(event.data.personal) for event in events]
    texts = [f"{content.subject}\n{content.text}" for content in contents]
    predictions = model.predict(texts)
    return [
        _classified(request, content, _decided(request, prediction))
        for request, content, prediction in zip(requests, contents, predictions, strict=True)
    ]


def _request(event: AnyEvent) -> _Request:
    data = event.data
    if isinstance(data, TriageRequested):
        return _Request(event, data.round, data.suggested_administration, frozenset(data.refused))
    assert isinstance(data, ComplaintSubmitted)
    named = data.named_administration
    if named is not None and data.against_named_administration:
        return _Request(event, 0, None, frozenset({named}))
    return _Request(event, 0, named, frozenset())


def _decided(request: _Request, prediction: Prediction) -> Prediction:
    """The prediction without barred bodies, weighed against the hint; after too many hops a person decides."""
    prediction = _without(prediction, request.barred)
    if request.hint is not None and request.hint not in request.barred:
        prediction = _with_hint(prediction, request.hint)
    if request.round >= HOPS_BEFORE_A_PERSON:
        return replace(prediction, triage_reason="too_many_hops")
    return prediction


def _without(prediction: Prediction, barred: frozenset[str]) -> Prediction:
    candidates = tuple(c for c in prediction.candidates if c.administration not in barred)
    if prediction.administration not in barred:
        return replace(prediction, candidates=candidates)
    first = candidates[0].administration if candidates else None
    return replace(prediction, administration=first, candidates=candidates, triage_reason="body_barred")


def _with_hint(prediction: Prediction, hint: str) -> Prediction:
    """A hint decides where the model is unsure or agrees; where the model is sure of another, a person does."""
    if hint not in registry() or prediction.triage_reason not in _HINT_HELPS:
        return prediction
    others = tuple(c for c in prediction.candidates if c.administration != hint)
    candidates = (Candidate(administration=hint, confidence=_HINT_CONFIDENCE), *others)[:3]
    agrees = len(others) < len(prediction.candidates)
    disputed = prediction.triage_reason is None and not agrees
    reason = "hint_disagrees" if disputed else None
    return replace(prediction, administration=hint, candidates=candidates, triage_reason=reason)


def _classified(request: _Request, content: PersonalContent, prediction: Prediction) -> Classified:
    data, reason = request.event.data, prediction.triage_reason
    classified = ComplaintClassified(
        complaint_id=data.complaint_id,
        decision=Decision.ROUTE if reason is None else Decision.TRIAGE,
        reason=reason,
        administration=prediction.administration if reason is None else None,
        candidates=prediction.candidates,
        nature=prediction.nature,
        kind=data.kind,
        language=data.language or prediction.language,
        model_version=prediction.model_version,
        round=request.round,
    )
    item = None
    if reason is not None:
        item = TriageItem(
            complaint_id=data.complaint_id,
            round=request.round,
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
            model_version=prediction.model_version,
        )
    return Classified(request.event.derive("classify", SOURCE, request.event.time, classified), item)
