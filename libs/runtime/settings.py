"""What every service is told by its environment: where the bus is, how to log, where to answer health."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Subclassed once per service with ``env_prefix="STRANDLINE_<SERVICE>_"``."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    nats_url: SecretStr = Field(validation_alias=AliasChoices("nats_url", "NATS_URL"))
    log_format: Literal["json", "pretty"] = Field("json", validation_alias=AliasChoices("log_format", "STRANDLINE_LOG"))
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=AliasChoices("log_level", "STRANDLINE_LOG_LEVEL")
    )
    health_host: str = "127.0.0.1"
    health_port: int = Field(0, ge=0, le=65535, description="0: any free port.")
    grace_seconds: float = Field(20.0, ge=0, description="What handlers get to finish in after SIGTERM.")


class DatabaseSettings(ServiceSettings):
    """For services with a read model of their own."""

    database_url: SecretStr = Field(validation_alias=AliasChoices("database_url", "DATABASE_URL"))
    database_connections: int = Field(5, ge=1, le=100)
