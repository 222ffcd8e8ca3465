"""The whole pipeline with an engine that answers at once, and how near it comes to the bare drivers.

From the request to the review: every fact published, both read models written, the project reviewed.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.baseline import move_the_same
from benchmarks.figures import Figure, Target
from benchmarks.instant import InstantEngine
from benchmarks.processes import busy_elsewhere, cpu_seconds, cpu_since, machine
from benchmarks.repositories import many_files
from benchmarks.scene import deployment, scan, scratch

FILES = 5000


async def measure(runs: int, *, files: int = FILES) -> list[Figure]:
    rates: list[tuple[float, float]] = []
    raw_rates: list[tuple[float, float]] = []
    details = []
    with scratch() as folder:
        repository = many_files(folder / "repository.git", files)
        for run in range(runs):
            data = folder / f"data-{run}"
            rate, cpu, detail = await scan_all(data, repository, files)
            rates.append((rate, cpu))
            raw_rates.append(await move_the_same(data, files))
            details.append(detail)
    both = list(zip(rates, raw_rates, strict=True))
    return [
        Figure(
            what="whole pipeline, instant engine, standalone",
            unit="files/s",
            runs=[rate for rate, _ in rates],
            target=Target(least=300, aim=1000, more=True),
            detail={"files": files, "runs": details},
        ),
        Figure(
            what="raw nats-py and asyncpg, same messages and rows",
            unit="files/s",
            runs=[rate for rate, _ in raw_rates],
            detail={"cpu µs a file": [round(1e6 * cpu) for _, cpu in raw_rates]},
        ),
        Figure(
            what="pipeline over raw",
            unit="",
            runs=[ours / raw for (ours, _), (raw, _) in both],
            target=Target(least=0.3, aim=0.6, more=True),
        ),
        Figure(what="pipeline over raw, by CPU time", unit="", runs=[raw / ours for (_, ours), (_, raw) in both]),
    ]


async def scan_all(data: Path, repository: Path, files: int) -> tuple[float, float, dict[str, object]]:
    """Files a second from the request to the review, CPU seconds a file, and where they went."""
    engine = InstantEngine()
    async with deployment(data, engine=engine) as bus:
        before, began, whole = cpu_seconds(), time.perf_counter(), machine()
        scanned = await scan(bus, repository)
        used = cpu_since(before)
        elsewhere = busy_elsewhere(whole, sum(used.values()))
    if (engine.analysed, scanned.analysed) != (files, files):
        raise RuntimeError(f"{files} files, {engine.analysed} analyses, {scanned.coverage}")
    detail = {
        "seconds": round(time.perf_counter() - began, 2),
        "listed": round(scanned.started, 2),
        "completed": round(scanned.completed, 2),
        "reviewed": round(scanned.reviewed, 2),
        "cpu µs a file": {kind: round(1e6 * seconds / files) for kind, seconds in used.items()},
        "machine busy elsewhere": round(elsewhere, 2),
    }
    return files / scanned.reviewed, sum(used.values()) / files, detail
