"""What the differ tells: a scan was asked for, what it covers, and each file it found."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from libs.events.envelope import Count, Fact, FileKey, PathText, Ticks, Token


class SkipReason(StrEnum):
    """Why a listed file was not analysed. ``deleted`` is counted from ``FileRemoved``."""

    DELETED = "deleted"
    BINARY = "binary"
    TOO_LARGE = "too_large"
    GENERATED = "generated"
    VENDORED = "vendored"
    SUBMODULE = "submodule"
    SYMLINK = "symlink"
    LFS_POINTER = "lfs_pointer"
    EMPTY = "empty"
    EXCLUDED = "excluded"
    UNREADABLE = "unreadable"


class ScanRequested(Fact):
    """Somebody asked for a scan. The listing follows from this fact and the repository's own state."""

    type_name: ClassVar[str] = "strandline.scan.requested.v1"
    token: ClassVar[str] = "requested"
    source: ClassVar[str] = "differ"

    base: str | None = Field(None, description="Compare with this revision instead of the last covered scan.")
    full: bool = Field(False, description="List every file, changed or not.")
    engine: Literal["static", "llm", "auto"] = "static"
    budget_ticks: Ticks | None = Field(None, description="The most this scan may spend; none: the repository's.")
    parallel: int | None = Field(None, ge=1, le=4096, description="Files in hand at once, over all analyzers.")
    requested_by: str = "unknown"
    requested_at: datetime


class ScanStarted(Fact):
    """The listing is done and fixed: exactly ``total`` files will have an outcome."""

    type_name: ClassVar[str] = "strandline.scan.started.v1"
    token: ClassVar[str] = "started"
    source: ClassVar[str] = "differ"

    repository: str = Field(description="The repository's address or path, without credentials.")
    branch: str | None = None
    commit: str | None = Field(None, description="The commit that was scanned.")
    tree: str = Field(description="The git tree that was scanned, uncommitted changes included.")
    uncommitted: bool = Field(False, description="The tree differs from the commit's.")
    base: str | None = Field(None, description="The tree it was compared with; none: everything was listed.")
    mode: Literal["full", "incremental"]
    mode_reason: str = Field(description="Why everything, or against what, in words for a person.")
    engine: str = Field(description="The engine asked for.")
    budget_ticks: Ticks | None = None
    total: Count = Field(description="Listed files: queued, skipped and removed.")
    queued: Count
    skipped: dict[SkipReason, Count] = Field(default_factory=dict, description="Includes ``deleted``.")
    started_at: datetime
    warnings: list[str] = Field(default_factory=list)


class ScanFailed(Fact):
    """The repository could not be listed: nothing was queued and nothing will be."""

    type_name: ClassVar[str] = "strandline.scan.failed.v1"
    token: ClassVar[str] = "failed"
    source: ClassVar[str] = "differ"

    reason: str = Field(description="One sentence for a person, with the mend where it is known.")
    failed_at: datetime


class FileFact(Fact):
    """A fact about one file; the file key ends its subject."""

    key: FileKey
    path: PathText

    def subject_key(self) -> str:
        return self.key


class FileQueued(FileFact):
    """A file waits for analysis. Its content is in the bucket ``blobs`` under ``content_hash``."""

    type_name: ClassVar[str] = "strandline.file.queued.v1"
    token: ClassVar[str] = "file.queued"
    source: ClassVar[str] = "differ"

    content_hash: Token
    size: Count = Field(description="Bytes.")
    engine: str = "static"
    previous_key: FileKey | None = Field(None, description="The key it had before it was renamed.")
    previous_path: PathText | None = None
    change: Literal["added", "modified", "renamed", "listed"] = "listed"
    position: Count = Field(0, description="Rank within the scan; 0 is the likeliest trouble.")


class FileSkipped(FileFact):
    """A listed file will not be analysed, and why."""

    type_name: ClassVar[str] = "strandline.file.skipped.v1"
    token: ClassVar[str] = "file.skipped"
    source: ClassVar[str] = "differ"

    reason: SkipReason
    size: Count = 0
    detail: str = Field("", description="What decided it: a pattern, a marker, a limit.")


class FileRemoved(FileFact):
    """A file of the last scan is gone; its findings are resolved by that (or live on under a new path)."""

    type_name: ClassVar[str] = "strandline.file.removed.v1"
    token: ClassVar[str] = "file.removed"
    source: ClassVar[str] = "differ"

    renamed_to: PathText | None = None
    renamed_to_key: FileKey | None = None
