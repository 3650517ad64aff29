"""Settings of the notifier."""

from shared.runtime.settings import ServiceSettings


class NotifierSettings(ServiceSettings):
    """Nothing beyond what every service has."""
