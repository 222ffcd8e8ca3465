"""Several analyzers, equal contents at the same time: one pays, the others find what it bought."""

from __future__ import annotations

import asyncio

import pytest

from libs.bus.api import Bucket, Delivery, Retry
from libs.bus.memory import MemoryBus
from libs.events.analyzer import Cost, FileAnalysis, FileAnalyzed
from libs.events.differ import FileQueued
from libs.events.subjects import file_key
from services.analyzer.claims import claimed
from services.analyzer.handlers import Bench, analyse_file
from services.analyzer.ports import EngineFailed, Examined, Source

PRICE = 70


class PayingEngine:
    """Waits for ``answer`` in every call."""

    name, version = "llm", "1"

    def __init__(self, problem: Exception | None = None) -> None:
        self.calls = 0
        self.called = asyncio.Event()
        self.answer = asyncio.Event()
        self._problem = problem

    def identity(self, source: Source) -> str:
        return ""

    def worst_case_ticks(self, source: Source) -> int:
        return 100

    async def analyse(self, source: Source) -> Examined:
        self.calls += 1
        self.called.set()
        await self.answer.wait()
        if self._problem is not None:
            raise self._problem
        analysis = FileAnalysis(language="text", engine=self.name, engine_version="1", outcome="complete")
        return Examined(analysis=analysis, cost=Cost(ticks=PRICE, source="billed"))


class OpenPurse:
    """Grants everything; ``granted`` says to which files."""

    def __init__(self) -> None:
        self.granted: list[str] = []

    async def reserve(self, queued: FileQueued, ticks: int) -> None:
        self.granted.append(queued.path)


async def a_bench(bus: MemoryBus, engine: PayingEngine, purse: OpenPurse) -> Bench:
    """One analyzer; benches on the same bus are replicas."""
    blobs, analyses, claims = [await bus.bucket(name) for name in ("blobs", "analyses", "claims")]
    await blobs.put("same", b"content")
    return Bench(bus=bus, blobs=blobs, analyses=analyses, claims=claims, engines={"llm": engine}, meter=purse)


def a_file(path: str) -> Delivery:
    key = file_key(path.encode())
    queued = FileQueued(
        repository_id="r", scan_id="s", key=key, path=path, content_hash="same", size=7, engine="llm", position=0
    )
    return Delivery(fact=queued, subject=queued.subject, sequence=1)


async def test_a_copy_in_another_replica_waits_and_is_reused() -> None:
    bus, engine, purse = MemoryBus(), PayingEngine(), OpenPurse()
    one, other = await a_bench(bus, engine, purse), await a_bench(bus, engine, purse)
    paying = asyncio.create_task(analyse_file(one, a_file("a")))
    await engine.called.wait()

    with pytest.raises(Retry):
        await analyse_file(other, a_file("b"))
    engine.answer.set()
    await paying
    await analyse_file(other, a_file("b"))

    assert [(fact.path, fact.reused, fact.cost.ticks) for fact in bus.facts if isinstance(fact, FileAnalyzed)] == [
        ("a", False, PRICE),
        ("b", True, 0),
    ]
    assert (engine.calls, purse.granted) == (1, ["a"])


async def test_a_failed_call_lets_the_next_one_try() -> None:
    bus, purse = MemoryBus(), OpenPurse()
    broken, sound = PayingEngine(EngineFailed("refused", "no")), PayingEngine()
    broken.answer.set()
    sound.answer.set()
    await analyse_file(await a_bench(bus, broken, purse), a_file("a"))
    await analyse_file(await a_bench(bus, sound, purse), a_file("b"))

    assert sound.calls == 1


async def test_leaving_a_claim_that_somebody_else_took_over_leaves_it_to_them() -> None:
    claims: Bucket = await MemoryBus().bucket("claims")
    async with claimed(claims, "k", holder="slow"):
        await claims.put("k", b"quick")

    assert await claims.get("k") == b"quick"
