"""A scan as the ledger has counted it: what it hears, how it halts, goes on and ends, and what that makes it tell.

Every function returns a new scan; those that make something known return the facts to publish beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from libs.events.differ import ScanFailed, ScanRequested, ScanStarted, SkipReason
from libs.events.envelope import Fact
from libs.events.ledger import Coverage, ScanCancelled, ScanCompleted, ScanHalted, ScanResumed
from libs.questions.ledger import Progress, ScanState

Status = Literal["complete", "incomplete", "cancelled", "failed"]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One row of ``scans``.

    ``recorded`` numbers the outcomes and goes on after the end; ``accounted`` is coverage and does not.
    ``kept`` counts the facts that were kept for publishing, ``told`` those that are known to be published.
    """

    scan_id: str
    repository_id: str
    repository: str = ""
    branch: str | None = None
    commit_id: str | None = None
    tree: str = ""
    base: str | None = None
    mode_reason: str = ""
    engine: str = ""
    notices: Sequence[str] = ()
    requested_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    status: Status | None = None
    halted: bool = False
    halts: int = 0
    halt_reason: str = ""
    total: int | None = None
    accounted: int = 0
    analysed: int = 0
    reused: int = 0
    failed: int = 0
    unreached: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    recorded: int = 0
    tokens: int = 0
    settled_ticks: int = 0
    presumed_ticks: int = 0
    reserved_ticks: int = 0
    saved_ticks: int = 0
    requested_budget_ticks: int | None = None
    started_budget_ticks: int | None = None
    raised_budget_ticks: int | None = None
    warned_percent: int = 0
    warned: int = 0
    kept: int = 0
    told: int = 0

    @property
    def known(self) -> bool:
        """Somebody asked for it or listed it; file facts alone can run ahead of both."""
        return self.requested_at is not None or self.started_at is not None

    @property
    def ended(self) -> bool:
        return self.completed_at is not None

    @property
    def booked_ticks(self) -> int:
        return self.settled_ticks + self.presumed_ticks

    @property
    def committed_ticks(self) -> int:
        return self.booked_ticks + self.reserved_ticks

    @property
    def budget_ticks(self) -> int | None:
        """The last word counts: a person's, then the listing's, then the request's."""
        for budget in (self.raised_budget_ticks, self.started_budget_ticks, self.requested_budget_ticks):
            if budget is not None:
                return budget
        return None


Change: TypeAlias = tuple[Scan, tuple[Fact, ...]]


def state_of(scan: Scan) -> ScanState:
    if scan.ended:
        return scan.status if scan.status in ("cancelled", "failed") else "completed"
    if scan.halted:
        return "halted"
    return "requested" if scan.started_at is None else "running"


def hear_request(scan: Scan, fact: ScanRequested) -> Scan:
    """The listing's word on the engine stands, whichever of the two is heard first."""
    return replace(
        scan,
        requested_at=fact.requested_at,
        requested_budget_ticks=fact.budget_ticks,
        engine=scan.engine or fact.engine,
    )


def hear_start(scan: Scan, fact: ScanStarted) -> Scan:
    return replace(
        scan,
        repository=fact.repository,
        branch=fact.branch,
        commit_id=fact.commit,
        tree=fact.tree,
        base=fact.base,
        mode_reason=fact.mode_reason,
        engine=fact.engine,
        notices=list(fact.warnings),
        started_at=fact.started_at,
        started_budget_ticks=fact.budget_ticks,
        total=fact.total,
    )


def hear_failure(scan: Scan, fact: ScanFailed) -> Scan:
    """Nothing was listed, so nothing can be counted or reviewed: it ends without being completed."""
    if scan.ended:
        return scan
    return replace(scan, status="failed", completed_at=fact.failed_at, halt_reason=fact.reason)


def complete_if_counted(scan: Scan, *, at: datetime) -> Change:
    """End the scan when its last listed file has an outcome."""
    if scan.ended or scan.total is None or scan.accounted < scan.total:
        return scan, ()
    return _end(scan, "incomplete" if scan.failed else "complete", at)


def halt(scan: Scan, reason: Literal["budget", "person"], detail: str) -> Change:
    number = scan.halts + 1
    halted = replace(scan, halted=True, halts=number, halt_reason=detail or reason)
    fact = ScanHalted(
        repository_id=scan.repository_id, scan_id=scan.scan_id, number=number, reason=reason, detail=detail
    )
    return halted, (fact,)


def resume(scan: Scan) -> Change:
    """End the halt. Not halted: nothing to end, and nothing to tell."""
    if not scan.halted:
        return scan, ()
    fact = ScanResumed(
        repository_id=scan.repository_id, scan_id=scan.scan_id, number=scan.halts, budget_ticks=scan.budget_ticks
    )
    return replace(scan, halted=False, halt_reason=""), (fact,)


def cancel(scan: Scan, detail: str, *, at: datetime) -> Change:
    ended, facts = _end(scan, "cancelled", at)
    fact = ScanCancelled(repository_id=scan.repository_id, scan_id=scan.scan_id, detail=detail)
    return ended, (fact, *facts)


def finish(scan: Scan, *, at: datetime) -> Change:
    """Complete it as it is. Only a listed scan can be: nobody knows yet what another one lacks."""
    whole = scan.accounted == scan.total and not scan.failed
    return _end(scan, "complete" if whole else "incomplete", at)


def _end(scan: Scan, status: Literal["complete", "incomplete", "cancelled"], at: datetime) -> Change:
    unreached = max(0, (scan.total or 0) - scan.accounted)
    ended = replace(scan, status=status, completed_at=at, unreached=unreached, halted=False, halt_reason="")
    fact = ScanCompleted(
        repository_id=scan.repository_id,
        scan_id=scan.scan_id,
        status=status,
        coverage=coverage_of(ended),
        cost_ticks=ended.booked_ticks,
        saved_ticks=ended.saved_ticks,
        started_at=scan.started_at or scan.requested_at or at,
        completed_at=at,
        engine=scan.engine,
        commit=scan.commit_id,
        tree=scan.tree,
    )
    return ended, (fact,)


def coverage_of(scan: Scan) -> Coverage:
    """The parts always add up to the total: until the end, what has no outcome yet counts as unreached."""
    unreached = scan.unreached if scan.ended else max(0, (scan.total or 0) - scan.accounted)
    return Coverage(
        analysed=scan.analysed,
        reused=scan.reused,
        skipped={SkipReason(reason): count for reason, count in sorted(scan.skipped.items())},
        failed=scan.failed,
        unreached=unreached,
        total=scan.accounted + unreached,
    )


def progress_of(scan: Scan) -> Progress:
    return Progress(
        scan_id=scan.scan_id,
        repository_id=scan.repository_id,
        repository=scan.repository,
        branch=scan.branch,
        commit=scan.commit_id,
        base=scan.base,
        mode_reason=scan.mode_reason,
        engine=scan.engine,
        state=state_of(scan),
        status=scan.status,
        halt_reason=scan.halt_reason,
        accounted=scan.accounted,
        coverage=coverage_of(scan),
        settled_ticks=scan.settled_ticks,
        reserved_ticks=scan.reserved_ticks,
        presumed_ticks=scan.presumed_ticks,
        saved_ticks=scan.saved_ticks,
        budget_ticks=scan.budget_ticks,
        tokens=scan.tokens,
        requested_at=scan.requested_at,
        started_at=scan.started_at,
        completed_at=scan.completed_at,
        warnings=list(scan.notices),
    )
