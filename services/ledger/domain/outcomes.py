"""What a fact about a file means for the books: its outcome, its place in the count, and what it reports as spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from libs.events.analyzer import Cost, FileAnalyzed, FileFailed, Usage
from libs.events.differ import FileRemoved, FileSkipped, SkipReason
from libs.events.envelope import Fact
from libs.events.reviewer import ReviewCompleted
from libs.questions.ledger import Outcome
from services.ledger.domain.scans import Scan

FileId = tuple[str, str]
"""Scan and file key; the review's key is empty."""

FILE_FACTS = (FileAnalyzed, FileSkipped, FileRemoved, FileFailed)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOutcome:
    """One file's outcome, as one fact tells it."""

    file: FileId
    path: str
    outcome: Outcome
    reason: str = ""
    engine: str = ""
    model: str = ""
    ticks: int = 0
    tokens: int = 0
    saved_ticks: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedFile:
    """An outcome with its place: ``ordinal`` in the order of counting, ``total_ticks`` booked up to it."""

    outcome: FileOutcome
    ordinal: int
    total_ticks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendingReport:
    """What a fact says was spent for a file or a review.

    It speaks for the last ``attempts`` attempts; none when the money was somebody else's.
    """

    file: FileId
    path: str
    repository_id: str
    origin: str
    stage: str
    attempts: int
    cost: Cost
    model: str
    tokens: int
    calls: int

    @property
    def leaves_entry(self) -> bool:
        """Free work of no model leaves no entry: its row among the files says everything."""
        return bool(self.cost.ticks or self.tokens or self.calls)


def outcome_of(fact: Fact) -> FileOutcome | None:
    if isinstance(fact, FileAnalyzed):
        return _analysed(fact)
    if isinstance(fact, FileSkipped):
        return FileOutcome(file=(fact.scan_id, fact.key), path=fact.path, outcome="skipped", reason=fact.reason.value)
    if isinstance(fact, FileRemoved):
        deleted = SkipReason.DELETED.value
        return FileOutcome(file=(fact.scan_id, fact.key), path=fact.path, outcome="skipped", reason=deleted)
    if isinstance(fact, FileFailed):
        return _failed(fact)
    return None


def _analysed(fact: FileAnalyzed) -> FileOutcome:
    return FileOutcome(
        file=(fact.scan_id, fact.key),
        path=fact.path,
        outcome="reused" if fact.reused else "analysed",
        reason="" if fact.analysis.outcome == "complete" else fact.analysis.outcome,
        engine=fact.analysis.engine,
        model=fact.cost.model or fact.analysis.engine,
        ticks=fact.cost.ticks,
        tokens=tokens_of(fact.usage),
        saved_ticks=fact.saved_ticks if fact.reused else 0,
    )


def _failed(fact: FileFailed) -> FileOutcome:
    return FileOutcome(
        file=(fact.scan_id, fact.key),
        path=fact.path,
        outcome="failed",
        reason=fact.reason.value,
        model=fact.cost.model or "",
        ticks=fact.cost.ticks,
        tokens=tokens_of(fact.usage),
    )


def tokens_of(usage: Usage) -> int:
    """Cached tokens are part of the input, reasoning tokens are not part of the output."""
    return usage.input_tokens + usage.output_tokens + usage.reasoning_tokens


def report_of(fact: Fact) -> SpendingReport | None:
    """What the fact reports as spent; a skipped file was never anybody's work."""
    if isinstance(fact, FileAnalyzed | FileFailed):
        return _file_report(fact)
    if isinstance(fact, ReviewCompleted):
        return _review_report(fact)
    return None


def _file_report(fact: FileAnalyzed | FileFailed) -> SpendingReport:
    return SpendingReport(
        file=(fact.scan_id, fact.key),
        path=fact.path,
        repository_id=fact.repository_id,
        origin="analyzed" if isinstance(fact, FileAnalyzed) else "failed",
        stage="analysis",
        attempts=_attempts_reported(fact),
        cost=fact.cost,
        model=fact.cost.model or (fact.analysis.engine if isinstance(fact, FileAnalyzed) else ""),
        tokens=tokens_of(fact.usage),
        calls=fact.usage.calls,
    )


def _attempts_reported(fact: FileAnalyzed | FileFailed) -> int:
    """A reused analysis was no attempt of this file; a failure that names neither call nor cost knows of none."""
    if isinstance(fact, FileAnalyzed):
        return 0 if fact.reused else max(1, fact.usage.attempts)
    return max(fact.usage.attempts, 1 if fact.usage.calls or fact.cost.ticks else 0)


def _review_report(fact: ReviewCompleted) -> SpendingReport:
    """The review does not say yet what it cost, so it speaks for no attempt: what was set aside is presumed spent."""
    return SpendingReport(
        file=(fact.scan_id, ""),
        path="",
        repository_id=fact.repository_id,
        origin="reviewed",
        stage="review",
        attempts=0,
        cost=Cost(),
        model="",
        tokens=0,
        calls=0,
    )


def count(scan: Scan, outcomes: Iterable[FileOutcome], booked: Mapping[FileId, int]) -> tuple[Scan, list[CountedFile]]:
    """Number new outcomes and add them to the scan's coverage, unless that is final.

    ``booked`` is the money this batch books, by file. What the scan has already booked does not include it.
    """
    files, total_ticks = [], scan.booked_ticks
    skipped = dict(scan.skipped)
    counts = {"analysed": scan.analysed, "reused": scan.reused, "failed": scan.failed, "skipped": 0}
    saved = 0
    for ordinal, outcome in enumerate(outcomes, start=scan.recorded + 1):
        total_ticks += booked.get(outcome.file, 0)
        files.append(CountedFile(outcome=outcome, ordinal=ordinal, total_ticks=total_ticks))
        counts[outcome.outcome] += 1
        saved += outcome.saved_ticks
        if outcome.outcome == "skipped":
            skipped[outcome.reason] = skipped.get(outcome.reason, 0) + 1
    scan = replace(scan, recorded=scan.recorded + len(files), saved_ticks=scan.saved_ticks + saved)
    if scan.ended:
        return scan, files
    counted = replace(
        scan,
        accounted=scan.accounted + len(files),
        analysed=counts["analysed"],
        reused=counts["reused"],
        failed=counts["failed"],
        skipped=skipped,
    )
    return counted, files
