"""What every handler of the differ works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.bus.api import Bucket, Bus, Refused
from libs.questions.differ import Repository
from services.differ.domain.scan_settings import Rules
from services.differ.ports import Mirrors, Repositories


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The bus, git, and what is kept; ``rules`` lie beneath every repository's own."""

    bus: Bus
    blobs: Bucket
    mirrors: Mirrors
    store: Repositories
    rules: Rules
    active_scans: int
    clock: Callable[[], datetime] = utc_now


async def known_repository(desk: Desk, repository_id: str) -> Repository:
    """The repository, credentials included.

    Raises:
        Refused: there is none of that id.
    """
    repository = await desk.store.repository(repository_id)
    if repository is None:
        raise Refused(f"there is no repository {repository_id}: see `strandline repos list`", code="unknown_repository")
    return repository
