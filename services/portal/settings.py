"""Settings of the portal."""

from pydantic import SecretStr

from shared.runtime.settings import HttpSettings


class PortalSettings(HttpSettings):
    """Where the portal finds the two services it speaks for: base URLs without a slash at the end.

    Intake knows the portal as a client: by an access token of `token_url` for `client_id` and `client_secret`, or by
    `api_key`; with neither, intake must be set to take complaints without a client.
    """

    intake_url: str
    tracker_url: str
    token_url: str | None = None
    client_id: str = "portal"
    client_secret: SecretStr | None = None
    api_key: SecretStr | None = None
