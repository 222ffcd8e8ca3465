"""What runs on a data directory: its servers, their guardians, and a holder in another process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[5]
PATIENCE = 15.0


def running_on(data: Path, name: str = "") -> list[psutil.Process]:
    """Processes other than ours that work in the directory or were told of it; by name when one is given."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = any(str(data) in argument for argument in process.cmdline())
            if process.pid != os.getpid() and (told or process.cwd().startswith(str(data))) and name in process.name():
                found.append(process)
    return found


def leader(data: Path, name: str) -> psutil.Process:
    """The one server of that name that is not another one's child."""
    servers = running_on(data, name)
    pids = {server.pid for server in servers}
    (first,) = (server for server in servers if server.ppid() not in pids)
    return first


async def all_ended(processes: list[psutil.Process]) -> bool:
    """Whether all of them end, given some time."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=PATIENCE)
    return not alive


@dataclass(frozen=True)
class Holder:
    """Another process that holds the directory."""

    process: asyncio.subprocess.Process
    nats_url: str
    ledger_url: str


@contextlib.asynccontextmanager
async def holder_of(data: Path) -> AsyncIterator[Holder]:
    """Killed when the block is left, if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.services.standalone.embedded.holder", str(data)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        places = json.loads(await process.stdout.readline())
        yield Holder(process, places["nats"], places["ledger"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process.stdin.close()
        assert await all_ended(running_on(data))
