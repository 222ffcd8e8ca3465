"""What every service is told by its environment: where the bus is, how to log, where to answer health."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

NATS_SCHEMES = ("nats", "tls", "ws", "wss")
DATABASE_SCHEMES = ("postgresql", "postgres")


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    scheme, separator, place = text.strip().partition("://")
    return scheme in schemes and bool(separator and place)


def _nats_addresses(value: SecretStr) -> SecretStr:
    if not all(_is_address(address, NATS_SCHEMES) for address in value.get_secret_value().split(",")):
        raise ValueError("it has to be nats://host:port, or several of those with commas between")
    return value


def _database_address(value: SecretStr) -> SecretStr:
    if not _is_address(value.get_secret_value(), DATABASE_SCHEMES):
        raise ValueError("it has to be postgresql://user@host:port/database")
    return value


NatsUrl = Annotated[SecretStr, AfterValidator(_nats_addresses)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_address)]


class ServiceSettings(BaseSettings):
    """Subclassed once per service with ``env_prefix="STRANDLINE_<SERVICE>_"``."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    nats_url: NatsUrl = Field(validation_alias=AliasChoices("nats_url", "NATS_URL"))
    log_format: Literal["json", "pretty"] = Field("json", validation_alias=AliasChoices("log_format", "STRANDLINE_LOG"))
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias=AliasChoices("log_level", "STRANDLINE_LOG_LEVEL")
    )
    health_host: str = "127.0.0.1"
    health_port: int = Field(0, ge=0, le=65535, description="0: any free port.")
    grace_seconds: float = Field(20.0, ge=0, description="What handlers get to finish in after SIGTERM.")


class DatabaseSettings(ServiceSettings):
    """For services with a read model of their own."""

    database_url: DatabaseUrl = Field(validation_alias=AliasChoices("database_url", "DATABASE_URL"))
    database_connections: int = Field(5, ge=1, le=100)
