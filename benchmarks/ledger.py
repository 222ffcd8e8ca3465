"""How many file outcomes a second the ledger counts, by size of batch, and how many reservations it decides.

Run: ``python -m benchmarks.ledger``. Prints a table and one line of JSON; medians of five.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import uvloop

from libs.bus.api import Delivery
from libs.db.database import open_database
from libs.db.migrations import migrate
from libs.events.analyzer import FileAnalysis, FileAnalyzed
from libs.events.subjects import file_key
from libs.questions.ledger import Reserve
from services.ledger.handlers import Desk, account_facts, reserve
from services.ledger.store.books import PostgresBooks
from tests.integration.services.ledger.scene import MortalBus, deliveries, started
from tests.servers.postgres import fresh_database, running_postgres

FILES = 6000
RUNS = 5
BATCHES = (50, 200, 500)
RESERVATIONS = 500
_scans = itertools.count(1)


def outcomes(scan_id: str) -> list[Delivery]:
    analysis = FileAnalysis(language="python", engine="static", engine_version="1", outcome="complete")
    paths = [f"src/package/part_{number % 50}/module_{number}.py" for number in range(FILES)]
    return deliveries(
        *(
            FileAnalyzed(
                repository_id="repo",
                scan_id=scan_id,
                key=file_key(path.encode()),
                path=path,
                content_hash="0" * 32,
                analysis=analysis,
            )
            for path in paths
        )
    )


async def count_outcomes(desk: Desk, *, batch: int) -> tuple[int, float]:
    scan_id = f"scan-{next(_scans)}"
    await account_facts(desk, deliveries(started(FILES, scan=scan_id)))
    facts = outcomes(scan_id)
    began = time.perf_counter()
    for start in range(0, FILES, batch):
        await account_facts(desk, facts[start : start + batch])
    return FILES, time.perf_counter() - began


async def decide_reservations(desk: Desk, *, ticks: int) -> tuple[int, float]:
    scan_id = f"scan-{next(_scans)}"
    await account_facts(desk, deliveries(started(FILES, scan=scan_id, budget=10**15)))
    asked = [
        Reserve(repository_id="repo", scan_id=scan_id, key=f"{number:016x}", ticks=ticks)
        for number in range(RESERVATIONS)
    ]
    began = time.perf_counter()
    await asyncio.gather(*(reserve(desk, question) for question in asked))
    return RESERVATIONS, time.perf_counter() - began


async def rate(measure: Callable[[], Awaitable[tuple[int, float]]]) -> float:
    rates: Sequence[float] = [done / seconds for done, seconds in [await measure() for _ in range(RUNS)]]
    return round(statistics.median(rates))


async def measure_all(url: str) -> dict[str, float]:
    async with fresh_database(url, "ledger") as fresh, open_database(fresh.url, "ledger") as database:
        await migrate(database, "services.ledger")
        desk = Desk(books=PostgresBooks(database), bus=MortalBus())
        results = {f"files/s in batches of {n}": await rate(lambda n=n: count_outcomes(desk, batch=n)) for n in BATCHES}
        results["reservations/s"] = await rate(lambda: decide_reservations(desk, ticks=1))
        results["free reservations/s"] = await rate(lambda: decide_reservations(desk, ticks=0))
        return results


def main() -> None:
    with running_postgres() as server:
        results = uvloop.run(measure_all(server.url))
    for name, figure in results.items():
        print(f"{name:<28} {figure:>10,.0f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
