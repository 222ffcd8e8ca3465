"""An analyzer at work on the in-memory bus: engines that count, a purse that can be empty, and sudden ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.bus.api import Bucket, Delivery, Retry
from libs.bus.memory import MemoryBus
from libs.events.analyzer import Cost, FileAnalysis, FileAnalyzed, FileFailed, Usage
from libs.events.differ import FileFact, FileQueued
from libs.events.subjects import file_key
from services.analyzer.handlers import Bench
from services.analyzer.ports import Engine, Examined, Source

PRICE = 70


class Died(Exception):
    """Stands for the end of the process."""


class CountingEngine:
    """Notes what it analysed. ``price`` 0 is free; ``outcome`` and ``problem`` say how it ends."""

    def __init__(
        self, name: str = "static", *, price: int = 0, outcome: str = "complete", problem: Exception | None = None
    ) -> None:
        self.name, self.version = name, "1"
        self.price = price
        self.outcome = outcome
        self.problem = problem
        self.analysed: list[str] = []

    def identity(self, source: Source) -> str:
        return source.path.rpartition(".")[2]

    def worst_case_ticks(self, source: Source) -> int:
        return 2 * self.price

    async def analyse(self, source: Source) -> Examined:
        self.analysed.append(source.path)
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        analysis = FileAnalysis.model_validate(
            {"language": "text", "engine": self.name, "engine_version": self.version, "outcome": self.outcome}
        )
        if not self.price:
            return Examined(analysis=analysis)
        usage = Usage(input_tokens=10, calls=1, attempts=1)
        return Examined(analysis=analysis, usage=usage, cost=Cost(ticks=self.price, source="billed", model="m"))


class Purse:
    """Grants until it is told to refuse; ``granted`` says to which files."""

    def __init__(self) -> None:
        self.granted: list[str] = []
        self.refusal: str | None = None

    async def reserve(self, queued: FileQueued, ticks: int) -> None:
        if self.refusal is not None:
            raise Retry(self.refusal, after=0.01)
        self.granted.append(queued.path)


class Dying:
    """Wraps something and dies before or after the first call of one of its methods."""

    def __init__(self, wrapped: object, method: str, *, after: bool) -> None:
        self._wrapped = wrapped
        self._method: str | None = method
        self._after = after

    def __getattr__(self, name: str) -> object:
        method = getattr(self._wrapped, name)
        if name != self._method:
            return method
        self._method = None

        async def dying(*arguments: object) -> None:
            if self._after:
                await method(*arguments)
            raise Died

        return dying


async def a_bench(
    bus: MemoryBus, *engines: Engine, purse: Purse | None = None, wrap: Callable[[str, object], object] | None = None
) -> Bench:
    """One analyzer; benches on one bus are replicas. ``wrap`` may put something around the bus and its buckets."""
    wrap = wrap or (lambda _, thing: thing)
    buckets: dict[str, Bucket] = {name: await bus.bucket(name) for name in ("blobs", "analyses", "claims")}
    return Bench(  # type: ignore[arg-type]
        bus=wrap("bus", bus),
        blobs=wrap("blobs", buckets["blobs"]),
        analyses=wrap("analyses", buckets["analyses"]),
        claims=wrap("claims", buckets["claims"]),
        engines={engine.name: engine for engine in engines},
        meter=purse or Purse(),
    )


async def keep_content(bus: MemoryBus, *hashes: str) -> None:
    blobs = await bus.bucket("blobs")
    for content_hash in hashes:
        await blobs.put(content_hash, content_hash.encode())


def a_file(path: str = "a.py", *, content: str = "c1", scan: str = "s1", engine: str = "static") -> FileQueued:
    return FileQueued(
        repository_id="r",
        scan_id=scan,
        key=file_key(path.encode()),
        path=path,
        content_hash=content,
        size=7,
        engine=engine,
    )


def delivered(queued: FileQueued, *, attempt: int = 1) -> Delivery:
    return Delivery(fact=queued, subject=queued.subject, sequence=1, attempt=attempt)


def outcomes(bus: MemoryBus) -> list[FileFact]:
    return [fact for fact in bus.facts if isinstance(fact, FileAnalyzed | FileFailed)]
