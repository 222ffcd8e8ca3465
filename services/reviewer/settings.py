"""What the reviewer is told by its environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """``STRANDLINE_REVIEWER_…``, beside what every service with a database is told."""

    model_config = SettingsConfigDict(env_prefix="STRANDLINE_REVIEWER_")

    batch: int = Field(250, ge=1, le=1000, description="File facts taken into the read model by one transaction.")
    most_tasks: int = Field(500, ge=1, le=2000, description="Tasks of one review; what ranks below is counted.")
