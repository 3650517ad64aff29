"""Settings of the portal."""

from shared.runtime.settings import HttpSettings


class PortalSettings(HttpSettings):
    """Where the portal finds the two services it speaks for: base URLs without a slash at the end."""

    intake_url: str
    tracker_url: str
