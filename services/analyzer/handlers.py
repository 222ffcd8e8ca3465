"""What happens for one queued file: look whether it is done, analyse it, keep the result, tell."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import structlog

from libs.bus.api import Bucket, Bus, Delivery, Reject, Retry
from libs.events.analyzer import FailReason
from libs.events.differ import FileQueued
from libs.questions.analyzer import DescribeEngines, Engines, FileInHand, InHand
from services.analyzer.claims import claimed
from services.analyzer.domain import KeptAnalysis, PaidAttempt, analyzed, as_kept, attempt_key, cache_key, failed
from services.analyzer.ports import Engine, EngineFailed, Meter, Source

log = structlog.get_logger(__name__)


class KeyedLock:
    """One holder per key: equal contents in hand at once are analysed once, the others find the result kept."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def held(self, key: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._locks[key], self._waiting[key]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What analysing needs at hand, and what is on it just now."""

    bus: Bus
    blobs: Bucket
    analyses: Bucket
    claims: Bucket
    engines: Mapping[str, Engine]
    meter: Meter
    holder: str = field(default_factory=lambda: secrets.token_hex(8))
    same_content: KeyedLock = field(default_factory=KeyedLock)
    in_hand: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)


async def analyse_file(bench: Bench, delivery: Delivery) -> None:
    """Give a queued file its one outcome."""
    queued = delivery.fact
    if not isinstance(queued, FileQueued):
        raise Reject(f"expected a queued file, got {queued.type_name}")
    bench.in_hand[queued.scan_id, queued.key] = (queued.path, time.monotonic())
    try:
        await _analyse(bench, queued)
    finally:
        bench.in_hand.pop((queued.scan_id, queued.key), None)


async def give_up(bench: Bench, delivery: Delivery, reason: str) -> None:
    """The last delivery failed too: the file has the outcome *failed* rather than none."""
    queued = delivery.fact
    assert isinstance(queued, FileQueued)
    log.error("file_given_up", scan_id=queued.scan_id, path=queued.path, reason=reason, attempts=delivery.attempt)
    await bench.bus.publish([failed(queued, FailReason.EXHAUSTED, reason, attempts=delivery.attempt)])


async def _analyse(bench: Bench, queued: FileQueued) -> None:
    engine = bench.engines.get(queued.engine)
    if engine is None:
        detail = f"no engine named {queued.engine!r} is configured here"
        await bench.bus.publish([failed(queued, FailReason.ENGINE_ERROR, detail)])
        return
    content = await bench.blobs.get(queued.content_hash)
    if content is None:
        detail = "its content is no longer kept; scan again"
        await bench.bus.publish([failed(queued, FailReason.CONTENT_MISSING, detail)])
        return
    source = Source(path=queued.path, content=content, content_hash=queued.content_hash)
    try:
        kept = await _analysed_once(bench, engine, source, queued)
    except EngineFailed as error:
        await bench.bus.publish([failed(queued, error.reason, str(error), usage=error.usage, cost=error.cost)])
        return
    await bench.bus.publish([analyzed(queued, kept)])


async def _analysed_once(bench: Bench, engine: Engine, source: Source, queued: FileQueued) -> KeptAnalysis:
    """The kept result, or a new one that is kept before anybody hears of it."""
    key = cache_key(source.content_hash, engine=engine.name, version=engine.version, identity=engine.identity(source))
    async with bench.same_content.held(key):
        kept = await _find(bench, key)
        if kept is not None:
            return kept
        if not engine.worst_case_ticks(source):
            return await _analyse_and_keep(bench, engine, source, queued, key)
        async with claimed(bench.claims, key, holder=bench.holder):
            kept = await _find(bench, key)
            if kept is not None:
                return kept
            return await _pay_once(bench, engine, source, queued, key)


async def _pay_once(bench: Bench, engine: Engine, source: Source, queued: FileQueued, key: str) -> KeptAnalysis:
    """One attempt that costs. Whatever it bought is kept: delivered again, this file must not pay again."""
    own = attempt_key(key, queued)
    bought = await bench.analyses.get(own)
    if bought is not None:
        attempt = PaidAttempt.model_validate_json(bought)
        if attempt.kept is not None:
            return attempt.kept
        raise EngineFailed(attempt.reason, attempt.detail, usage=attempt.usage, cost=attempt.cost)
    await bench.meter.reserve(queued, engine.worst_case_ticks(source))
    try:
        kept = await _analyse_and_keep(bench, engine, source, queued, key)
    except EngineFailed as error:
        attempt = PaidAttempt(reason=error.reason, detail=str(error), usage=error.usage, cost=error.cost)
        await bench.analyses.put(own, attempt.model_dump_json().encode())
        raise
    if kept.analysis.outcome != "complete":
        await bench.analyses.put(own, PaidAttempt(kept=kept).model_dump_json().encode())
    return kept


async def _find(bench: Bench, key: str) -> KeptAnalysis | None:
    found = await bench.analyses.get(key)
    return None if found is None else KeptAnalysis.model_validate_json(found)


async def _analyse_and_keep(bench: Bench, engine: Engine, source: Source, queued: FileQueued, key: str) -> KeptAnalysis:
    started = time.monotonic()
    examined = await engine.analyse(source)
    kept, text = as_kept(
        KeptAnalysis(
            analysis=examined.analysis,
            usage=examined.usage,
            cost=examined.cost,
            duration_seconds=round(time.monotonic() - started, 6),
            scan_id=queued.scan_id,
            key=queued.key,
        )
    )
    if kept.analysis.outcome == "complete":
        await bench.analyses.put(key, text)
    return kept


async def describe_engines(
    bench: Bench, preferred: str, question: DescribeEngines, *, problems: Mapping[str, str] | None = None
) -> Engines:
    """Which engines there are, which of them ``auto`` means, and what keeps others from working."""
    engines = {name: engine.version for name, engine in bench.engines.items()}
    return Engines(engines=engines, preferred=preferred, problems=dict(problems or {}))


async def show_what_is_in_hand(bench: Bench, *, every: float = 0.25) -> None:
    """Shout the files in hand, scan by scan, for whoever watches. Runs until it is cancelled."""
    shown: set[str] = set()
    while True:
        await asyncio.sleep(every)
        now = time.monotonic()
        scans: dict[str, list[FileInHand]] = {scan_id: [] for scan_id in shown}
        for (scan_id, _), (path, since) in list(bench.in_hand.items()):
            seconds = round(now - since, 3)
            scans.setdefault(scan_id, []).append(FileInHand(scan_id=scan_id, path=path, seconds=seconds))
        for scan_id, files in scans.items():
            longest = sorted(files, key=lambda file: -file.seconds)[:32]
            with contextlib.suppress(Retry):
                await bench.bus.shout(f"live.analyzer.{scan_id}", InHand(files=longest).model_dump_json().encode())
        shown = {scan_id for scan_id, files in scans.items() if files}
