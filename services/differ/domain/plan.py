"""What a scan will list, fixed once: the tree, what it is compared with, and by which engine."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Literal

from libs.events.envelope import Model


class Plan(Model):
    """Kept before anything is published, so that a listing repeated after a crash is the same listing.

    ``base_tree`` None: every file is listed. ``known_tree`` and ``seen_trees`` are what earlier scans knew, for telling
    what is gone: a file may have come and gone since the base.
    """

    tree: str
    commit: str | None
    branch: str | None
    uncommitted: bool
    base_tree: str | None
    known_tree: str | None
    seen_trees: tuple[str, ...] = ()
    mode_reason: str
    engine: str
    engine_digest: str
    settings_digest: str
    started_at: datetime
    warnings: list[str]

    @property
    def mode(self) -> Literal["full", "incremental"]:
        return "full" if self.base_tree is None else "incremental"


def engine_digest(engine: str, version: str, settings_digest: str) -> str:
    """Scans of equal digest would analyse the same content alike, so one can be the base of the other."""
    return blake2b("\0".join((engine, version, settings_digest)).encode(), digest_size=12).hexdigest()
