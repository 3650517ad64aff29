"""Settings of the classifier."""

from shared.runtime.settings import ServiceSettings


class ClassifierSettings(ServiceSettings):
    """Nothing beyond what every service has."""
