"""The product as it is: a deployment in a folder of its own, and a scan followed by the facts it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop

from benchmarks.figures import Figure
from benchmarks.instant import InstantEngine, open_instant_analyzer
from libs.bus.api import Bus, Delivery
from libs.events.differ import ScanFailed, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import Coverage, ScanCompleted
from libs.events.reviewer import ReviewCompleted
from libs.events.subjects import pattern
from libs.questions.differ import GetScanTicket, RegisterRepository, RequestScan
from services.standalone.deployment import open_deployment
from services.standalone.embedded.directory import hold_directory


def measured(name: str, runs: int) -> list[Figure]:
    """The figures of one benchmark; warnings are logged, on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    figures: list[Figure] = uvloop.run(importlib.import_module(f"benchmarks.{name}").measure(runs))
    return figures


@contextlib.asynccontextmanager
async def deployment(data: Path, *, engine: InstantEngine | None = None) -> AsyncIterator[Bus]:
    """Everything on that data directory; with the usual engines where none is given."""
    options: dict[str, Any] = {"analyzer": partial(open_instant_analyzer, engine=engine)} if engine else {}
    async with hold_directory(data) as holding, open_deployment(holding, **options) as bus:
        yield bus


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="strandline-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """One scan: seconds from the request to its start, its last queued file, its completion and its review."""

    scan_id: str
    started: float
    queued: float
    completed: float
    reviewed: float
    coverage: Coverage

    @property
    def analysed(self) -> int:
        return self.coverage.analysed


async def scan(bus: Bus, location: Path, **wish: Any) -> Scanned:
    """Request a scan and wait for its review."""
    repository = await bus.ask(RegisterRepository(location=str(location), engine="auto"))
    async with bus.follow(pattern("*", repository=repository.id)) as heard:
        began = time.perf_counter()
        ticket = await bus.ask(RequestScan(repository_id=repository.id, **wish))
        listing = asyncio.create_task(_queued(bus, ticket.scan_id))
        seen = await _facts(heard, ticket.scan_id)
        queued = await listing
    completed = seen[ScanCompleted][1]
    assert isinstance(completed, ScanCompleted)
    return Scanned(
        scan_id=ticket.scan_id,
        started=seen[ScanStarted][0] - began,
        queued=queued - began,
        completed=seen[ScanCompleted][0] - began,
        reviewed=seen[ReviewCompleted][0] - began,
        coverage=completed.coverage,
    )


async def _facts(heard: AsyncIterator[Delivery], scan_id: str) -> dict[type[Fact], tuple[float, Fact]]:
    """What is told of the scan as a whole, and when, until its review."""
    seen: dict[type[Fact], tuple[float, Fact]] = {}
    async for delivery in heard:
        fact = delivery.fact
        if isinstance(fact, ScanFailed):
            raise RuntimeError(f"the scan failed: {fact.reason}")
        if fact.scan_id == scan_id:
            seen[type(fact)] = (time.perf_counter(), fact)
        if isinstance(fact, ReviewCompleted):
            break
    return seen


async def _queued(bus: Bus, scan_id: str) -> float:
    """When the differ said that everything is queued; looked at often enough for scans of seconds."""
    question = GetScanTicket(scan_id=scan_id)
    while (await bus.ask(question)).state in ("requested", "listing"):  # noqa: ASYNC110 - no fact says it
        await asyncio.sleep(0.05)
    return time.perf_counter()
