"""How fast the bus is on this machine: ``python -m benchmarks.bus`` prints a table, then the same as JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from libs.bus.api import Bus, Consumer, Delivery
from libs.bus.jetstream import connect
from libs.events.analyzer import FileAnalysis, FileAnalyzed, Finding
from libs.events.subjects import file_key
from libs.questions.analyzer import DescribeEngines, Engines
from tests.servers.nats import running_nats

MESSAGES = 20_000
ROUNDS = 5


def analyzed(number: int, scan: str) -> FileAnalyzed:
    """About a kilobyte, as most facts are."""
    finding = Finding(
        rule="ruff/b006",
        category="correctness",
        severity="medium",
        title="A mutable default argument is shared between calls",
        description="The list is made once, when the function is defined, and keeps what earlier calls put into it.",
        start_line=number % 500 + 1,
        end_line=number % 500 + 1,
        fingerprint=f"{number:016x}",
    )
    analysis = FileAnalysis(
        language="python", engine="static", engine_version="1", outcome="complete", findings=[finding, finding]
    )
    path = f"src/package/module{number}.py"
    return FileAnalyzed(
        repository_id="bench", scan_id=scan, key=file_key(path.encode()), path=path, content_hash="h", analysis=analysis
    )


class Figures:
    """Operations a second and microseconds of this process's CPU for each, by what was measured."""

    def __init__(self) -> None:
        self._rounds: dict[str, list[tuple[float, float]]] = {}

    async def measure(self, what: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        await work()
        seconds, busy = time.perf_counter() - wall, time.process_time() - cpu
        self._rounds.setdefault(what, []).append((count / seconds, busy / count * 1e6))

    def medians(self) -> dict[str, dict[str, float]]:
        return {
            what: {
                "per_second": round(statistics.median(rate for rate, _ in rounds)),
                "cpu_us": round(statistics.median(cpu for _, cpu in rounds), 1),
            }
            for what, rounds in self._rounds.items()
        }


async def consume_all(bus: Bus, scan: str, *, in_flight: int) -> None:
    done, left = asyncio.Event(), MESSAGES

    async def handle(delivery: Delivery) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    consumer = Consumer(name=f"single-{scan}", filters=(f"scan.*.{scan}.>",), max_in_flight=in_flight)
    async with bus.consume(consumer, handle):
        await done.wait()


async def consume_in_batches(bus: Bus, scan: str) -> None:
    done, left = asyncio.Event(), MESSAGES

    async def handle(deliveries: Sequence[Delivery]) -> None:
        nonlocal left
        left -= len(deliveries)
        if not left:
            done.set()

    consumer = Consumer(name=f"batch-{scan}", filters=(f"scan.*.{scan}.>",), max_in_flight=400)
    async with bus.consume_batches(consumer, handle, most=200):
        await done.wait()


async def ask_often(bus: Bus) -> None:
    async def answer(_: DescribeEngines) -> Engines:
        return Engines(engines={"static": "1"})

    async with bus.answer(DescribeEngines, answer):
        for _ in range(20):
            await asyncio.gather(*(bus.ask(DescribeEngines()) for _ in range(50)))


async def one_round(bus: Bus, figures: Figures, scan: str) -> None:
    facts = [analyzed(number, scan) for number in range(MESSAGES)]
    await figures.measure("publish, a sequence", MESSAGES, lambda: bus.publish(facts))
    await figures.measure("publish again, all refused", MESSAGES, lambda: bus.publish(facts))
    await figures.measure("publish, one at a time", 500, lambda: _publish_singly(bus, f"{scan}-one"))
    await figures.measure("consume, 500 in flight", MESSAGES, lambda: consume_all(bus, scan, in_flight=500))
    await figures.measure("consume, batches of 200", MESSAGES, lambda: consume_in_batches(bus, scan))
    await figures.measure("ask and answer, 50 at once", 1000, lambda: ask_often(bus))
    blobs = await bus.bucket("blobs")
    values = {f"{scan}-{number}": bytes(10_000) for number in range(2000)}
    await figures.measure("bucket put, 10 kB", len(values), lambda: blobs.put_all(values))
    await figures.measure("bucket get, 10 kB", len(values), lambda: blobs.get_all(list(values)))


async def _publish_singly(bus: Bus, scan: str) -> None:
    for number in range(500):
        await bus.publish([analyzed(number, scan)])


async def main() -> None:
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory, running_nats(Path(directory)) as server:
        async with connect(server.url, name="bench") as bus:
            for number in range(ROUNDS):
                await one_round(bus, figures, f"round{number}")
    medians = figures.medians()
    for what, figure in medians.items():
        print(f"{what:28} {figure['per_second']:>8,.0f}/s {figure['cpu_us']:>7.1f} µs")
    print(json.dumps(medians))


if __name__ == "__main__":
    uvloop.run(main())
