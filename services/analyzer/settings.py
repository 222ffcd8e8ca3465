"""What the analyzer is told by its environment."""

from __future__ import annotations

import os

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """``STRANDLINE_ANALYZER_…``; no database: what the analyzer knows is in the result cache."""

    model_config = SettingsConfigDict(env_prefix="STRANDLINE_ANALYZER_", frozen=True, extra="ignore")

    parallel: int = Field(64, ge=1, le=4096, description="Files in hand at once in this process.")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1, description="Static analysis processes.")
    file_seconds: float = Field(10.0, gt=0, description="The most the static engine may take for one file.")
    cache_days: int = Field(90, ge=1, description="How long an analysis can be reused.")
    blob_days: int = Field(7, ge=1, description="How long contents are kept for analysers.")
