"""Settings of the dispatcher."""

from shared.runtime.settings import ServiceSettings


class DispatcherSettings(ServiceSettings):
    """Nothing beyond what every service has."""
