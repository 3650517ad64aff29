"""The model as the service uses it: behind the domain's protocol, for several threads, replaced while it runs."""

import asyncio
import threading
from collections.abc import Sequence

import structlog

from services.classifier.domain.classification import Prediction
from services.classifier.metrics import MODEL
from services.classifier.model.artefact import ArtefactError
from services.classifier.model.prediction import SHIPPED, Model
from services.classifier.model.prediction import Prediction as Answer
from services.classifier.model.versions import Versions
from shared.contracts.administrations import MUNICIPAL, registry
from shared.contracts.events import Candidate, Language, Nature
from shared.runtime.periodic import repeat

log = structlog.get_logger(__name__)

_AT_ONCE = 32
"""Texts classified before another thread has its turn: a preview never waits for a whole batch."""

_LOOK_EVERY_SECONDS = 5.0


class ServedModel:
    """The model that is promoted in a folder of versions; without such a folder, the shipped one."""

    def __init__(self, versions: Versions | None = None) -> None:
        """Loads the model; raises ArtefactError."""
        self._versions = versions
        self._folder = SHIPPED if versions is None else versions.current()
        self._model = _loaded(Model.load(self._folder))
        self._turn = threading.Lock()
        MODEL.info({"version": self._model.version})

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction for each text, all of one version."""
        model = self._model
        found: list[Answer] = []
        for start in range(0, len(texts), _AT_ONCE):
            with self._turn:
                found += model.predict(texts[start : start + _AT_ONCE])
        return [_prediction(answer, model.version) for answer in found]

    async def follow(self, stopping: asyncio.Event) -> None:
        """Takes up the version that is promoted, every few seconds. Run as a task."""

        async def look() -> bool:
            await asyncio.to_thread(self.refresh)
            return False

        await repeat(look, _LOOK_EVERY_SECONDS, stopping)

    def refresh(self) -> None:
        """Takes up the version that is promoted; one that cannot be loaded changes nothing and is logged."""
        folder = self._folder if self._versions is None else self._versions.current()
        if folder == self._folder:
            return
        self._folder = folder
        try:
            model = _loaded(Model.load(folder))
        except ArtefactError as error:
            log.error("model_not_loaded", folder=str(folder), error=str(error), kept=self._model.version)
            return
        self._model = model
        MODEL.info({"version": model.version})
        log.info("model_changed", version=model.version)


def _loaded(model: Model) -> Model:
    unknown = set(model.labels) - set(registry()) - {MUNICIPAL}
    if unknown:
        raise ArtefactError(f"The model answers what is no administration: {', '.join(sorted(unknown))}.")
    return model


def _prediction(answer: Answer, version: str) -> Prediction:
    return Prediction(
        administration=answer.administration,
        candidates=tuple(
            Candidate(administration=suggestion.administration, confidence=suggestion.confidence)
            for suggestion in answer.suggestions
        ),
        nature=Nature(answer.nature),
        language=Language(answer.language) if answer.language else None,
        triage_reason=answer.reason or None,
        evidence=answer.words,
        model_version=version,
    )
