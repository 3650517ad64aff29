"""Settings of intake."""

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """`access_code_keys` maps key ids to hexadecimal secrets; the last one is used for new complaints."""

    access_code_keys: dict[str, str] = Field(min_length=1)
