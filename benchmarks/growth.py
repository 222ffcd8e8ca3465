"""100,000 files against 1,000 with an engine that answers at once: listing and queueing, and the time per file."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.figures import Figure, Target
from benchmarks.instant import InstantEngine
from benchmarks.processes import busy_elsewhere, cpu_seconds, cpu_since, machine, megabytes
from benchmarks.repositories import many_files
from benchmarks.scene import Scanned, deployment, scan, scratch

SMALL, LARGE = 1000, 100_000


async def measure(runs: int, *, large: int = LARGE) -> list[Figure]:
    with scratch() as folder:
        repositories = {files: many_files(folder / f"{files}.git", files) for files in (SMALL, large)}
        small = [await _scan(folder / f"small-{run}", repositories[SMALL], SMALL) for run in range(max(3, runs))]
        whole = [await _scan(folder / f"large-{run}", repositories[large], large) for run in range(runs)]
    base = statistics.median(scanned.reviewed / SMALL for scanned, _ in small)
    return [
        Figure(
            what=f"{large:,} files: listing and queueing",
            unit="s",
            runs=[each[0].queued for each in whole],
            target=Target(least=60, aim=20),
            detail={"runs": [detail for _, detail in whole]},
        ),
        Figure(
            what=f"growth: time per file at {large:,} over at {SMALL:,}",
            unit="",
            runs=[each[0].reviewed / large / base for each in whole],
            target=Target(least=1.3, aim=1.1),
            detail={"small": [detail for _, detail in small]},
        ),
    ]


async def _scan(data: Path, repository: Path, files: int) -> tuple[Scanned, dict[str, object]]:
    engine = InstantEngine()
    async with deployment(data, engine=engine) as bus:
        before, whole, began = cpu_seconds(), machine(), time.perf_counter()
        scanned = await scan(bus, repository)
        seconds, used = time.perf_counter() - began, cpu_since(before)
        memory = megabytes()
    if scanned.analysed != files:
        raise RuntimeError(f"{files} files, {scanned.coverage}")
    return scanned, {
        "started": round(scanned.started, 2),
        "queued": round(scanned.queued, 2),
        "completed": round(scanned.completed, 2),
        "reviewed": round(scanned.reviewed, 2),
        **{f"{kind}: cpu µs a file": round(1e6 * cpu / files) for kind, cpu in used.items()},
        **{f"{kind}: MB": round(size) for kind, size in memory.items()},
        "machine busy elsewhere": round(busy_elsewhere(whole, sum(used.values())), 2),
        "seconds": round(seconds, 2),
    }
