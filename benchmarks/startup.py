"""Start-up: from starting ``strandline scan`` to its first file's line, and to the end of the command."""

from __future__ import annotations

import time
from asyncio.subprocess import Process
from pathlib import Path

from benchmarks.command import strandline
from benchmarks.figures import Figure, Target
from benchmarks.repositories import many_files
from benchmarks.scene import scratch

FILES = 20


async def measure(runs: int) -> list[Figure]:
    fresh, again, ends = [], [], []
    with scratch() as folder:
        repository = many_files(folder / "repository.git", FILES)
        await _scan(folder, "warm-up", repository)
        for run in range(runs):
            first, end = await _scan(folder, f"data-{run}", repository)
            fresh.append(first)
            ends.append(end)
        for run in range(runs):
            first, _ = await _scan(folder, f"data-{run}", repository)
            again.append(first)
    return [
        Figure(
            what="start-up to the first file, new data directory",
            unit="s",
            runs=fresh,
            target=Target(least=5, aim=3),
        ),
        Figure(
            what="start-up to the first file, known data directory",
            unit="s",
            runs=again,
            target=Target(least=5, aim=3),
        ),
        Figure(what=f"the whole command for {FILES} files, new data directory", unit="s", runs=ends),
    ]


async def _scan(folder: Path, data: str, repository: Path) -> tuple[float, float]:
    began = time.perf_counter()
    async with strandline(
        "scan", str(repository), "--full", data=folder / data, bytecode=folder / "bytecode"
    ) as process:
        first = await _first_file(process) - began
        await process.communicate()
    if process.returncode not in (0, 1):
        raise RuntimeError(f"strandline scan ended with {process.returncode}")
    return first, time.perf_counter() - began


async def _first_file(process: Process) -> float:
    """When the first line that counts a file came."""
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        if line.startswith(b"[1/"):
            return time.perf_counter()
        said += line
    raise RuntimeError(f"no file was analysed: {said.decode()[-500:]}")
