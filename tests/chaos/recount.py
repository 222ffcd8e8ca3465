"""What the stream says: every fact from the first, and the outcomes and money it comes to when counted by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.bus.api import Bus, Delivery
from libs.events.analyzer import FileAnalyzed, FileFailed
from libs.events.differ import FileFact, FileQueued, FileRemoved, FileSkipped, ScanStarted
from libs.events.ledger import ScanCompleted
from libs.events.reviewer import ReviewCompleted
from libs.events.subjects import ALL_FACTS

LISTED = (FileQueued, FileSkipped, FileRemoved)
ANSWERED = (FileAnalyzed, FileFailed)


async def read_stream(bus: Bus) -> list[Delivery]:
    """Every fact there is, in order."""
    last, facts = await bus.last_sequence(), []
    async with bus.follow(ALL_FACTS, since=1) as deliveries:
        async for delivery in deliveries:
            facts.append(delivery)
            if delivery.sequence >= last:
                break
    return facts


@dataclass
class Recount:
    """One scan, counted from its facts."""

    started: list[ScanStarted] = field(default_factory=list)
    completed: list[ScanCompleted] = field(default_factory=list)
    reviewed: list[ReviewCompleted] = field(default_factory=list)
    listed: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    answered: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    analyzed: list[FileAnalyzed] = field(default_factory=list)

    @property
    def analysed(self) -> int:
        return sum(not fact.reused for fact in self.analyzed)

    @property
    def reused(self) -> int:
        return sum(fact.reused for fact in self.analyzed)

    @property
    def cost_ticks(self) -> int:
        return sum(fact.cost.ticks for fact in self.analyzed)


def recount(facts: Sequence[Delivery]) -> dict[str, Recount]:
    """By scan, in the order of time."""
    scans: defaultdict[str, Recount] = defaultdict(Recount)
    for fact in (delivery.fact for delivery in facts):
        scan = scans[fact.scan_id]
        if isinstance(fact, ScanStarted):
            scan.started.append(fact)
        elif isinstance(fact, ScanCompleted):
            scan.completed.append(fact)
        elif isinstance(fact, ReviewCompleted):
            scan.reviewed.append(fact)
        elif isinstance(fact, FileFact):
            (scan.listed if isinstance(fact, LISTED) else scan.answered)[fact.key].append(fact.token)
        if isinstance(fact, FileAnalyzed):
            scan.analyzed.append(fact)
    return dict(sorted(scans.items()))


def check_no_fact_twice(facts: Sequence[Delivery]) -> None:
    """A subject holds one fact."""
    twice = [subject for subject, times in Counter(delivery.subject for delivery in facts).items() if times > 1]
    assert not twice


def check_outcomes(scan: Recount) -> None:
    """Every listed file has exactly one outcome, nothing else has any, and the scan says what was counted."""
    assert len(scan.started) == len(scan.completed) == len(scan.reviewed) == 1
    started, coverage = scan.started[0], scan.completed[0].coverage
    queued = {key for key, tokens in scan.listed.items() if tokens == [FileQueued.token]}
    assert {key: tokens for key, tokens in scan.listed.items() if len(tokens) != 1} == {}
    assert {key: tokens for key, tokens in scan.answered.items() if len(tokens) != 1} == {}
    assert set(scan.answered) == queued
    assert (started.total, started.queued) == (len(scan.listed), len(queued))
    assert (coverage.total, coverage.failed, coverage.unreached) == (len(scan.listed), 0, 0)
    assert (coverage.analysed, coverage.reused) == (scan.analysed, scan.reused)
    assert sum(coverage.skipped.values()) == len(scan.listed) - len(queued)
