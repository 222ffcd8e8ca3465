"""The static engine on the standard library of this Python as a git repository, all told: request to completed scan."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, Target
from benchmarks.processes import busy_elsewhere, cpu_seconds, cpu_since, machine, megabytes
from benchmarks.repositories import standard_library
from benchmarks.scene import deployment, scan, scratch


async def measure(runs: int) -> list[Figure]:
    rates, details = [], []
    with scratch() as folder:
        repository = standard_library(folder / "repository.git")
        for run in range(runs):
            async with deployment(folder / f"data-{run}") as bus:
                before, whole, began = cpu_seconds(), machine(), time.perf_counter()
                scanned = await scan(bus, repository)
                used = cpu_since(before)
                rates.append(scanned.analysed / scanned.completed)
                details.append(
                    {
                        "files": scanned.analysed,
                        "skipped": sum(scanned.coverage.skipped.values()),
                        "listed": round(scanned.started, 2),
                        "completed": round(scanned.completed, 2),
                        "reviewed": round(scanned.reviewed, 2),
                        "seconds": round(time.perf_counter() - began, 2),
                        "cpu ms a file": {
                            kind: round(1e3 * seconds / scanned.analysed, 2) for kind, seconds in used.items()
                        },
                        "MB": {kind: round(size) for kind, size in megabytes().items()},
                        "machine busy elsewhere": round(busy_elsewhere(whole, sum(used.values())), 2),
                    }
                )
    return [
        Figure(
            what="static engine, Python standard library",
            unit="files/s",
            runs=rates,
            target=Target(least=100, aim=250, more=True),
            detail={"runs": details},
        )
    ]
