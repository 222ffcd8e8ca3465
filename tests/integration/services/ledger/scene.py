"""Builders and a bus that fails on demand for the ledger's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.bus.api import Delivery
from libs.bus.memory import MemoryBus
from libs.events.analyzer import Cost, FailReason, FileAnalysis, FileAnalyzed, FileFailed, Usage
from libs.events.differ import FileRemoved, FileSkipped, ScanRequested, ScanStarted, SkipReason
from libs.events.envelope import Fact
from libs.events.reviewer import ReviewCompleted
from libs.events.subjects import file_key
from libs.questions.ledger import Reserve

REPOSITORY = "repo-1"
SCAN = "scan-1"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class PublishingFailed(Exception):
    """Stands for a process that dies before it could publish."""


class MortalBus(MemoryBus):
    """The bus of a process that dies ``failures`` times when it is about to publish."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.asked = 0
        self.shouts: list[tuple[str, bytes]] = []

    async def publish(self, facts: Sequence[Fact]) -> int:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise PublishingFailed
        return await super().publish(facts)

    async def shout(self, subject: str, payload: bytes) -> None:
        self.shouts.append((subject, payload))

    def published(self, fact_type: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, fact_type)]


class Clock:
    """A clock that goes on a second each time it is looked at."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def deliveries(*facts: Fact) -> list[Delivery]:
    return [Delivery(fact=fact, subject=fact.subject, sequence=number) for number, fact in enumerate(facts, start=1)]


def ids(path: str, scan: str = SCAN) -> dict[str, str]:
    return {"repository_id": REPOSITORY, "scan_id": scan, "key": file_key(path.encode()), "path": path}


def requested(*, scan: str = SCAN, budget: int | None = None) -> ScanRequested:
    return ScanRequested(repository_id=REPOSITORY, scan_id=scan, budget_ticks=budget, requested_at=NOON)


def started(total: int, *, scan: str = SCAN, budget: int | None = None) -> ScanStarted:
    return ScanStarted(
        repository_id=REPOSITORY,
        scan_id=scan,
        repository="/srv/code",
        branch="main",
        commit="c0ffee",
        tree="7ree",
        mode="full",
        mode_reason="everything, for the first time",
        engine="static",
        budget_ticks=budget,
        total=total,
        queued=total,
        started_at=NOON,
        warnings=["a shallow clone"],
    )


def analysed(path: str, *, scan: str = SCAN, ticks: int = 0, tokens: int = 0, attempts: int = 0) -> FileAnalyzed:
    return FileAnalyzed(
        **ids(path, scan),
        content_hash="abc",
        analysis=FileAnalysis(language="python", engine="static", engine_version="1", outcome="complete"),
        usage=Usage(input_tokens=tokens, calls=1 if tokens else 0, attempts=attempts),
        cost=Cost(ticks=ticks, source="billed", model="grok-4.3") if ticks else Cost(),
    )


def reused(path: str, *, scan: str = SCAN, saved: int = 0) -> FileAnalyzed:
    return analysed(path, scan=scan).model_copy(update={"reused": True, "saved_ticks": saved})


def failed(path: str, *, scan: str = SCAN) -> FileFailed:
    return FileFailed(**ids(path, scan), reason=FailReason.ENGINE_ERROR)


def skipped(path: str, reason: SkipReason = SkipReason.BINARY, *, scan: str = SCAN) -> FileSkipped:
    return FileSkipped(**ids(path, scan), reason=reason)


def removed(path: str, *, scan: str = SCAN) -> FileRemoved:
    return FileRemoved(**ids(path, scan))


def wants(path: str, ticks: int, *, attempt: int = 1, scan: str = SCAN) -> Reserve:
    return Reserve(repository_id=REPOSITORY, scan_id=scan, key=file_key(path.encode()), attempt=attempt, ticks=ticks)


def a_review(*, scan: str = SCAN) -> ReviewCompleted:
    return ReviewCompleted(repository_id=REPOSITORY, scan_id=scan, summary="", files=1, reviewed_at=NOON)
