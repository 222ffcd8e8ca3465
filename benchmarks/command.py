"""The ``strandline`` command as a process of its own, as it is installed: compiled, without our environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.processes import megabytes
from services.standalone.client import ApiProblem, Client, Unreachable

BYTECODE = "PYTHONPYCACHEPREFIX"
PROJECT = Path(__file__).resolve().parent.parent


def environment(bytecode: Path) -> dict[str, str]:
    """Without settings of ours; compiled modules are kept in that folder, as an installation keeps them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRANDLINE_", "PYTHON"))}
    return {**kept, BYTECODE: str(bytecode)}


@contextlib.asynccontextmanager
async def strandline(*arguments: str, data: Path, bytecode: Path) -> AsyncIterator[Process]:
    """The command, started; ended when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.standalone", *arguments, "--data-dir", str(data)),
        stdout=PIPE,
        stderr=PIPE,
        env=environment(bytecode),
        cwd=PROJECT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        await process.communicate()


@contextlib.asynccontextmanager
async def console(data: Path, process: Process) -> AsyncIterator[Client]:
    """The API of the deployment on that data directory, as soon as it answers; ``process`` is what runs it."""
    client = Client.over_socket(str(data / "run" / "strandline.sock"))
    try:
        while True:
            with contextlib.suppress(Unreachable, ApiProblem):
                await client.send("GET", "/repositories")
                break
            if process.returncode is not None:
                raise RuntimeError(f"strandline ended: {(await process.communicate())[1].decode()[-1000:]}")
            await asyncio.sleep(0.005)
        yield client
    finally:
        await client.close()


def memory_of(process: Process) -> dict[str, int]:
    """Megabytes of the process and its servers and workers."""
    return {kind: round(size) for kind, size in megabytes(process.pid).items()}
