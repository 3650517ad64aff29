"""Settings of the classifier."""

from pydantic import Field, SecretStr

from services.classifier.domain.triage import HOLD
from shared.runtime.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """`officer_tokens` maps the name of each triage officer to the bearer token they sign in with."""

    decision_hold_seconds: float = Field(default=HOLD.total_seconds(), ge=0)
    officer_tokens: dict[str, SecretStr] = Field(default_factory=dict)
