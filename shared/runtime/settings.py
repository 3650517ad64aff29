"""Settings every service has; each service's `settings.py` adds its own. Read once, in its composition root."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class HttpSettings(BaseSettings):
    """Settings of anything that serves HTTP: environment variables prefixed `CHIKAYA_`."""

    model_config = SettingsConfigDict(env_prefix="CHIKAYA_", extra="ignore")

    http_host: str = "127.0.0.1"
    http_port: int = 8080
    log_level: str = "INFO"
    maximum_body: int = Field(default=262_144, description="Bytes of a request body; a larger one answers 413.")


class ServiceSettings(HttpSettings):
    """Settings of a service with a database and a place in the event flow."""

    kafka_bootstrap_servers: str
    database_url: str
    instance_id: str = Field(description="Unique and stable per replica: the static member id in its consumer groups.")
    batch_records: int = Field(default=500, description="Most records handled in one transaction.")
