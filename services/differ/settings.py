"""What the differ is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import DatabaseSettings
from services.differ.domain.scan_settings import LARGEST_FILE_SIZE


class Settings(DatabaseSettings):
    """``STRANDLINE_DIFFER_…`` and ``DATABASE_URL``."""

    model_config = SettingsConfigDict(env_prefix="STRANDLINE_DIFFER_", frozen=True, extra="ignore")

    mirrors: Path = Field(description="Folder of our own bare mirrors; survives restarts, can be rebuilt.")
    blob_days: int = Field(7, ge=1, description="How long contents are kept for analyzers.")
    active_scans: int = Field(200, ge=1, le=1500, description="More than so many wait as requests.")
    max_file_size: int = Field(
        1024 * 1024, ge=1, le=LARGEST_FILE_SIZE, description="Bytes; larger files are skipped as too_large."
    )
    git_environment: tuple[str, ...] = Field(
        ("SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE"),
        description="What git gets of this process's environment; everything else is kept from it.",
    )
    exclude: tuple[str, ...] = Field((), description="Patterns as in .gitignore, for every repository.")
    protocols: tuple[str, ...] = Field(
        ("https", "ssh"), description="Of addresses, e.g. also file; plain local paths are always allowed."
    )
