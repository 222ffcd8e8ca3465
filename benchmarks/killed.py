"""100,000 files queued, everything killed, started again: the next file, and the memory of it all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from asyncio.subprocess import Process
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.command import console, memory_of, strandline
from benchmarks.figures import Figure, Target
from benchmarks.repositories import many_files
from benchmarks.scene import scratch
from libs.bus.api import Bus
from libs.bus.jetstream import connect
from libs.events.analyzer import FileAnalyzed
from libs.events.subjects import pattern
from libs.questions.differ import Repository, ScanTicket
from services.standalone.client import Client

FILES = 100_000
OBSERVED_SECONDS = 10.0


async def measure(runs: int, *, files: int = FILES) -> list[Figure]:
    delays, totals, listings, peaks, details = [], [], [], [], []
    with scratch() as folder:
        repository = many_files(folder / "repository.git", files)
        data, bytecode = folder / "data", folder / "bytecode"
        async with strandline("up", data=data, bytecode=bytecode) as process, console(data, process) as client:
            scan_id, listed = await _queue(client, repository)
            listings.append(listed)
            before = memory_of(process)
            await _kill(process)
        for _ in range(runs):
            async with strandline("up", data=data, bytecode=bytecode) as process:
                delay, whole, memory = await _go_on(process, data, scan_id)
                await _kill(process)
            delays.append(delay)
            totals.append(whole)
            peaks.append(sum(memory.values()))
            details.append(memory)
    return [
        Figure(
            what=f"after kill -9 with {files:,} queued: next file after services are up",
            unit="s",
            runs=delays,
            target=Target(least=1, aim=0.3),
            detail={"from starting the process": [round(whole, 2) for whole in totals]},
        ),
        Figure(
            what="the same: memory of everything",
            unit="MB",
            runs=peaks,
            target=Target(least=500, aim=500),
            detail={"after the listing": before, "runs": details},
        ),
        Figure(what=f"{files:,} files listed and queued while analysis has begun", unit="s", runs=listings),
    ]


async def _queue(client: Client, repository: Path) -> tuple[str, float]:
    """Request a scan and wait until every file is queued."""
    known = await client.ask(Repository, "POST", "/repositories", json={"location": str(repository)})
    began = time.perf_counter()
    ticket = await client.ask(ScanTicket, "POST", f"/repositories/{known.id}/scans", json={})
    while ticket.state in ("requested", "listing"):
        await asyncio.sleep(0.05)
        ticket = await client.ask(ScanTicket, "GET", f"/scans/{ticket.scan_id}/ticket")
    if ticket.state != "active":
        raise RuntimeError(f"the scan is {ticket.state}: {ticket.problem}")
    return ticket.scan_id, time.perf_counter() - began


async def _kill(process: Process) -> None:
    """All at once, as a power cut would: the process, its servers and its workers."""
    others = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for other in others:
        with contextlib.suppress(psutil.NoSuchProcess):  # ended by another's end
            other.kill()
    await process.wait()
    psutil.wait_procs(others, timeout=10)


async def _go_on(process: Process, data: Path, scan_id: str) -> tuple[float, float, dict[str, int]]:
    """Seconds from the API's first answer, and from the process's start, to the next file; memory some time later."""
    started = psutil.Process(process.pid).create_time()
    async with console(data, process):
        up = time.time()
        async with connect(_bus_of(data), name="benchmark") as bus:
            analysed = await _next_file(bus, scan_id, since=datetime.fromtimestamp(started, UTC))
            await asyncio.sleep(OBSERVED_SECONDS)
            return max(0.0, analysed - up), analysed - started, memory_of(process)


async def _next_file(bus: Bus, scan_id: str, *, since: datetime) -> float:
    async with bus.follow(pattern(FileAnalyzed.token, keyed=True, scan=scan_id), since=since) as heard:
        async for delivery in heard:
            if delivery.published_at is not None:
                return delivery.published_at.timestamp()
    raise RuntimeError("nothing was analysed")


def _bus_of(data: Path) -> str:
    """The address of the embedded NATS, as its own files have it."""
    said = json.loads((data / "nats" / "nats.conf").read_text())["authorization"]
    ports = json.loads(next((data / "nats").glob("*.ports")).read_text())["nats"][0]
    return f"nats://{said['user']}:{said['password']}@{ports.rpartition('/')[2]}"
