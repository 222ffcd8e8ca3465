"""All services in one process on the in-memory bus and a real database, over repositories of a few files."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from libs.bus.api import Bus
from libs.bus.memory import MemoryBus
from libs.db.database import open_database
from libs.events.analyzer import Category, FileAnalysis, FileAnalyzed, FileFailed, Finding, Severity
from libs.events.differ import FileQueued, FileRemoved, FileSkipped, ScanFailed, ScanStarted
from libs.events.envelope import Fact
from libs.events.reviewer import ReviewCompleted, Task
from libs.events.subjects import ALL_FACTS
from libs.questions.differ import RegisterRepository, RequestScan
from libs.questions.ledger import GetProgress, ListAccounted, Progress
from libs.questions.reviewer import ListFindings, ListTasks
from services.analyzer.__main__ import open_with_engines
from services.analyzer.ports import EngineFailed, Examined, Source
from services.analyzer.settings import Settings as AnalyzerSettings
from services.differ.__main__ import open_differ
from services.differ.settings import Settings as DifferSettings
from services.differ.store import PostgresRepositories
from services.ledger.__main__ import open_ledger
from services.ledger.settings import Settings as LedgerSettings
from services.reviewer.__main__ import open_reviewer
from services.reviewer.settings import Settings as ReviewerSettings
from tests.integration.services.differ.conftest import Repository

PATIENCE = 60.0
ID = "pipe-1"
TREES = list[dict[str, bytes]]
"""What a repository holds, scan by scan."""


class LineEngine:
    """A finding for each line that starts with BUG or GAP; a file with FAIL fails, one with HALF is partial."""

    name, version = "static", "1"

    def identity(self, source: Source) -> str:
        return ""

    def worst_case_ticks(self, source: Source) -> int:
        return 0

    async def analyse(self, source: Source) -> Examined:
        await asyncio.sleep(0)
        if b"FAIL" in source.content:
            raise EngineFailed("engine_error", "it says so")
        lines = source.content.decode().splitlines()
        findings = [_finding(line, number) for number, line in enumerate(lines, 1) if line[:3] in ("BUG", "GAP")]
        analysis = FileAnalysis(
            language="text",
            engine=self.name,
            engine_version=self.version,
            outcome="partial" if b"HALF" in source.content else "complete",
            lines=len(lines),
            findings=list({finding.fingerprint: finding for finding in findings}.values()),
        )
        return Examined(analysis=analysis)


def _finding(line: str, number: int) -> Finding:
    bad = line.startswith("BUG")
    return Finding(
        rule="line/bug" if bad else "line/gap",
        category=Category.CORRECTNESS if bad else Category.TESTING,
        severity=Severity.HIGH if bad else Severity.LOW,
        title=line,
        start_line=number,
        end_line=number,
        fingerprint=blake2b(line.encode(), digest_size=8).hexdigest(),
    )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a run is disturbed: by how many replicas, in batches of what size, with how many files in hand."""

    batch: int = 500
    parallel: int = 64
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """One scan: its facts, and what the services answer about it afterwards."""

    facts: list[Fact]
    progress: Progress
    accounted: list[tuple[int, str, str, str]]
    tasks: list[Task]
    standing: list[tuple[str, str, int]]

    def of(self, *kinds: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kinds)]

    @property
    def listed(self) -> Counter[str]:
        return Counter(fact.path for fact in self.of(FileQueued, FileSkipped, FileRemoved))

    @property
    def outcomes(self) -> dict[str, str]:
        """Path and outcome; a file with two would fail here."""
        said: dict[str, str] = {}
        for fact in self.of(FileAnalyzed, FileFailed, FileSkipped, FileRemoved):
            assert fact.path not in said, f"two outcomes of {fact.path}: {said[fact.path]}, {fact.token}"
            said[fact.path] = f"{fact.token} {getattr(fact, 'reason', '')}".strip()
        return said


async def run(
    bus: MemoryBus, repository: Repository, trees: TREES, *, database_url: str, mirrors: Path, shape: Shape
) -> list[Scanned]:
    """Commit each tree and scan it."""
    async with AsyncExitStack() as stack:
        for number in range(shape.replicas):
            own = mirrors / str(number)
            await _open_services(stack, bus, database_url=database_url, mirrors=own, shape=shape)
        async with open_database(database_url, "differ") as database:
            question = RegisterRepository(location=repository.location, engine="static")
            await PostgresRepositories(database).register(ID, question)
        return [await _scan(bus, repository, tree) for tree in trees]


async def _open_services(stack: AsyncExitStack, bus: Bus, *, database_url: str, mirrors: Path, shape: Shape) -> None:
    told: dict[str, Any] = {"nats_url": "nats://nowhere", "database_url": database_url}
    analyzer = AnalyzerSettings.model_validate({**told, "parallel": shape.parallel})
    for opening in (
        open_ledger(LedgerSettings.model_validate({**told, "batch": shape.batch}), bus),
        open_reviewer(ReviewerSettings.model_validate({**told, "batch": shape.batch}), bus),
        open_differ(DifferSettings.model_validate({**told, "mirrors": mirrors}), bus),
        open_with_engines(analyzer, bus, [LineEngine()]),
    ):
        await stack.enter_async_context(opening)


async def _scan(bus: MemoryBus, repository: Repository, tree: dict[str, bytes]) -> Scanned:
    put(repository, tree)
    async with asyncio.timeout(PATIENCE), bus.follow(ALL_FACTS) as facts:
        ticket = await bus.ask(RequestScan(repository_id=ID))
        async for delivery in facts:
            assert not isinstance(delivery.fact, ScanFailed), delivery.fact.reason
            if isinstance(delivery.fact, ReviewCompleted):
                assert delivery.fact.scan_id == ticket.scan_id
                break
        await bus.idle()
    accounted = await bus.ask(ListAccounted(scan_id=ticket.scan_id, limit=1000))
    tasks = await bus.ask(ListTasks(repository_id=ID, states=("open", "in_progress", "done", "dismissed"), limit=500))
    findings = await bus.ask(ListFindings(repository_id=ID, limit=500))
    return Scanned(
        facts=[fact for fact in bus.facts if fact.scan_id == ticket.scan_id],
        progress=await bus.ask(GetProgress(scan_id=ticket.scan_id)),
        accounted=[(file.ordinal, file.path, file.outcome, file.reason) for file in accounted.files],
        tasks=tasks.tasks,
        standing=[(found.path, found.finding.fingerprint, found.finding.start_line) for found in findings.findings],
    )


def put(repository: Repository, tree: dict[str, bytes]) -> None:
    """Make the repository hold these files and nothing else, committed."""
    for path in repository.git("ls-files").splitlines():
        (repository.path / path).unlink()
    for path, content in tree.items():
        repository.put(path, content)
    repository.commit()


def started(scanned: Scanned) -> ScanStarted:
    assert scanned.of(ScanFailed) == []
    (fact,) = scanned.of(ScanStarted)
    assert isinstance(fact, ScanStarted)
    return fact
