"""A differ on the in-memory bus, with a ledger and analyzers that say what the test lets them say."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from libs.bus.api import Delivery, Refused
from libs.bus.memory import MemoryBus
from libs.events.differ import FileFact, FileQueued, FileRemoved, FileSkipped, ScanRequested, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import Coverage, ScanCompleted
from libs.questions.analyzer import DescribeEngines, Engines
from libs.questions.differ import RegisterRepository, Repository, RequestScan, ScanTicket
from libs.questions.ledger import GetProgress, Progress, ScanState
from services.differ.clients.mirror import GitMirrors
from services.differ.domain.scan_settings import Rules
from services.differ.handlers.desk import Desk
from services.differ.handlers.following import follow_state
from services.differ.handlers.listing import list_scan
from services.differ.handlers.requests import register_repository, request_scan
from services.differ.ports import Repositories

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Kind = TypeVar("Kind", bound=Fact)


class Died(Exception):
    """Stands for the end of the process."""


class MortalBus(MemoryBus):
    """Dies once ``facts_left`` more facts are published: those before are stored, the rest is not."""

    def __init__(self) -> None:
        super().__init__()
        self.facts_left: int | None = None

    async def publish(self, facts: Sequence[Fact]) -> int:
        if self.facts_left is None:
            return await super().publish(facts)
        some = facts[: self.facts_left]
        self.facts_left -= len(some)
        stored = await super().publish(some)
        if len(some) < len(facts):
            self.facts_left = None
            raise Died
        return stored

    def told(self, kind: type[Kind], scan_id: str | None = None) -> list[Kind]:
        return [fact for fact in self.facts if isinstance(fact, kind) and scan_id in (None, fact.scan_id)]


class Clock:
    """Stands still until it is moved, a hundredth apart so that ids sort."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now


@dataclass
class Office:
    """``engines`` and ``states`` are what the analyzers and the ledger say."""

    desk: Desk
    bus: MortalBus
    clock: Clock
    mirrors: Path
    engines: dict[str, str] = field(default_factory=lambda: {"static": "1"})
    states: dict[str, ScanState] = field(default_factory=dict)
    ledger_is_silent: bool = False

    def with_rules(self, rules: Rules) -> Office:
        return replace(self, desk=replace(self.desk, rules=rules))

    def with_limit(self, active_scans: int) -> Office:
        return replace(self, desk=replace(self.desk, active_scans=active_scans))

    def replica(self) -> Office:
        """The same differ on another machine."""
        folder = self.mirrors.with_name("elsewhere")
        return replace(self, mirrors=folder, desk=replace(self.desk, mirrors=GitMirrors(folder)))

    async def register(self, location: str, **settings: Any) -> Repository:
        return await register_repository(self.desk, RegisterRepository(location=location, **settings))

    async def request(self, repository: Repository, **wish: Any) -> ScanTicket:
        return await request_scan(self.desk, RequestScan(repository_id=repository.id, **wish))

    async def list(self, scan_id: str, *, attempt: int = 1) -> None:
        """As the bus delivers the request."""
        (request,) = self.bus.told(ScanRequested, scan_id)
        await list_scan(self.desk, Delivery(fact=request, subject=request.subject, sequence=1, attempt=attempt))

    async def scan(self, repository: Repository, **wish: Any) -> str:
        """A scan that is requested and listed; its id."""
        ticket = await self.request(repository, **wish)
        assert not ticket.joined
        await self.list(ticket.scan_id)
        return ticket.scan_id

    async def complete(self, scan_id: str, *, failed: int = 0, unreached: int = 0, status: str = "") -> None:
        """As the ledger tells it."""
        (request,) = self.bus.told(ScanRequested, scan_id)
        fact = ScanCompleted.model_validate(
            {
                "repository_id": request.repository_id,
                "scan_id": scan_id,
                "status": status or ("incomplete" if failed or unreached else "complete"),
                "coverage": Coverage(failed=failed, unreached=unreached, total=failed + unreached),
                "started_at": NOON,
                "completed_at": NOON,
            }
        )
        await self.hear(fact)

    async def hear(self, fact: Fact) -> None:
        await follow_state(self.desk, Delivery(fact=fact, subject=fact.subject, sequence=1))

    async def whole_scan(self, repository: Repository, **wish: Any) -> str:
        scan_id = await self.scan(repository, **wish)
        await self.complete(scan_id)
        return scan_id

    def started(self, scan_id: str) -> ScanStarted:
        (started,) = self.bus.told(ScanStarted, scan_id)
        return started

    def files(self, scan_id: str) -> dict[str, str]:
        """Path and what the differ said of it; nothing twice."""
        said: dict[str, str] = {}
        for fact in self.bus.told(FileFact, scan_id):
            assert fact.path not in said, f"two facts about {fact.path}"
            said[fact.path] = in_a_word(fact)
        assert len(said) == self.started(scan_id).total
        return said


def in_a_word(fact: FileFact) -> str:
    if isinstance(fact, FileQueued):
        return f"{fact.change} from {fact.previous_path}" if fact.previous_path else fact.change
    if isinstance(fact, FileSkipped):
        return f"skipped: {fact.reason}"
    assert isinstance(fact, FileRemoved)
    return f"moved to {fact.renamed_to}" if fact.renamed_to else "removed"


@contextlib.asynccontextmanager
async def open_office(store: Repositories, mirrors: Path) -> AsyncIterator[Office]:
    bus, clock = MortalBus(), Clock()
    desk = Desk(
        bus=bus,
        blobs=await bus.bucket("blobs"),
        mirrors=GitMirrors(mirrors),
        store=store,
        rules=Rules(),
        active_scans=200,
        clock=clock,
    )
    office = Office(desk=desk, bus=bus, clock=clock, mirrors=mirrors)

    async def describe(_: DescribeEngines) -> Engines:
        return Engines(engines=office.engines, preferred=next(iter(office.engines)))

    async def progress(question: GetProgress) -> Progress:
        state = office.states.get(question.scan_id, "running")
        if office.ledger_is_silent or not bus.told(ScanRequested, question.scan_id):
            raise Refused("no such scan", code="unknown_scan")
        return Progress(scan_id=question.scan_id, repository_id="r", state=state)

    async with bus.answer(DescribeEngines, describe), bus.answer(GetProgress, progress):
        yield office
