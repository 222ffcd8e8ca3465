"""An unchanged repository of 1,000 files scanned again, with everything running: from the request to completion."""

from __future__ import annotations

from benchmarks.figures import Figure, Target
from benchmarks.instant import InstantEngine
from benchmarks.repositories import many_files
from benchmarks.scene import deployment, scan, scratch

FILES = 1000


async def measure(runs: int) -> list[Figure]:
    engine = InstantEngine()
    with scratch() as folder:
        repository = many_files(folder / "repository.git", FILES)
        async with deployment(folder / "data", engine=engine) as bus:
            await scan(bus, repository)
            analysed = engine.analysed
            again = [await scan(bus, repository) for _ in range(runs)]
            full = [await scan(bus, repository, full=True) for _ in range(runs)]
    if engine.analysed != analysed:
        raise RuntimeError(f"{engine.analysed - analysed} analyses for nothing")
    return [
        Figure(
            what="unchanged rescan of 1,000 files, 0 analyses",
            unit="s",
            runs=[scanned.completed for scanned in again],
            target=Target(least=1, aim=0.3),
            detail={"reviewed": [round(scanned.reviewed, 2) for scanned in again]},
        ),
        Figure(
            what="the same with every file listed (--full), all reused",
            unit="s",
            runs=[scanned.completed for scanned in full],
            detail={"reviewed": [round(scanned.reviewed, 2) for scanned in full]},
        ),
    ]
