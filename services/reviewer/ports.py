"""What the reviewer needs kept: one read model that never counts a fact twice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from libs.events.differ import FileFact, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import ScanCompleted
from libs.events.reviewer import FindingsChanged, ReviewCompleted, Task, TaskState
from libs.questions.reviewer import ListFindings, StandingFinding
from services.reviewer.domain.changes import KnownTask, Update
from services.reviewer.domain.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How many outcomes of a scan were taken in: files with an analysis, and files skipped or removed."""

    analysed: int = 0
    passed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewState:
    """What is known of a scan. ``review`` is None until it was made."""

    repository_id: str
    completed: ScanCompleted | None = None
    review: ReviewCompleted | None = None


class Standing(Protocol):
    """One repository, held: nobody else changes it until the context that gave it is left."""

    async def heard(self, scan_id: str) -> Heard:
        """How much of the scan was taken in."""

    async def told(self, scan_id: str) -> list[Fact]:
        """The facts its review told, in order; none when it was not made."""

    async def snapshot(self) -> Snapshot:
        """The files and findings that stand."""

    async def tasks(self) -> dict[str, KnownTask]:
        """Every task there ever was, by id."""

    async def keep(self, completed: ScanCompleted, updates: Sequence[Update], review: ReviewCompleted) -> list[Fact]:
        """Keep a review and its tasks; returns the facts it tells now, which ``told`` will return from here on."""


class ReadModel(Protocol):
    """The present state of every repository, a function of the facts whatever order they come in."""

    async def record(self, facts: Sequence[FileFact]) -> list[FindingsChanged]:
        """Take facts in, in one transaction; returns what is to be told of them, also when they were taken in before.

        Raises:
            Retry: the database was away or another transaction in the way; nothing was kept.
        """

    async def note(self, started: ScanStarted) -> None:
        """Know of a scan, so that its review is awaited instead of unknown."""

    def repository(self, repository_id: str) -> AbstractAsyncContextManager[Standing]:
        """Hold one repository; what is kept inside is committed when the context is left without an exception."""

    async def review(self, scan_id: str) -> ReviewState | None:
        """What is known of a scan's review; None: nothing was ever heard of the scan."""

    async def list_tasks(
        self, repository_id: str, states: Sequence[TaskState], *, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[tuple[int, Task]], int]:
        """Tasks in the order to do them, with their positions; and how many there are in all."""

    async def list_findings(
        self, question: ListFindings, *, after: tuple[int, str, int, str, str] | None
    ) -> tuple[list[StandingFinding], int]:
        """Standing findings, the worst first, then by path (its first 200 characters) and line; and their number."""
