"""Settings of the classifier."""

from pathlib import Path

from pydantic import Field, SecretStr

from services.classifier.domain.triage import HOLD
from shared.runtime.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """`officer_tokens` maps the name of each triage officer to the bearer token they sign in with.

    `models` is the folder of retrained models; without it, the shipped model is used.
    """

    decision_hold_seconds: float = Field(default=HOLD.total_seconds(), ge=0)
    models: Path | None = None
    officer_tokens: dict[str, SecretStr] = Field(default_factory=dict)
