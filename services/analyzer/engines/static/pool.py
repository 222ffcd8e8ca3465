"""Worker processes and the files that wait for them.

A worker that is free takes its share of what waits, up to a batch; nobody waits for a batch to fill. When a worker
dies, the file and the tool it had in hand are known: that file goes back without that tool, the others go back as
they were, and a new worker takes the dead one's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from services.analyzer.engines.static.frames import (
    HEADER,
    PROGRESS_BYTES,
    Request,
    pack_progress,
    pack_requests,
    unpack_progress,
)
from services.analyzer.engines.static.languages import Kind

MAX_BATCH = 32
MAX_BATCH_BYTES = 4 << 20
MAX_DEATHS = 10
"""How often a file may see a worker die before it is given up; each time at least one tool is left out."""

START_SECONDS = 60.0
_TIMED_OUT = 1
_PROJECT = Path(__file__).resolve().parents[4]


class Broken(Exception):
    """This file cannot be examined: workers die on it."""


class Unavailable(Exception):
    """No file can be examined now: workers cannot be started, or the pool was closed."""


@dataclass(eq=False)
class _Job:
    kind: Kind
    content: bytes
    answer: asyncio.Future[bytes]
    given_up: dict[str, str] = field(default_factory=dict)
    deaths: int = 0

    @property
    def request(self) -> Request:
        return Request(kind=self.kind, content=self.content, given_up=self.given_up)


class Pool:
    """Made by ``open_pool``."""

    def __init__(self, workers: int, file_seconds: float, directory: Path) -> None:
        self.directory = directory
        self._waiting: deque[_Job] = deque()
        self._jobs: set[_Job] = set()
        self._arrived = asyncio.Condition()
        self._workers = [_Worker(directory / str(number), file_seconds) for number in range(workers)]

    async def examine(self, kind: Kind, content: bytes) -> bytes:
        """The analysis as JSON.

        Raises:
            Broken: there is none to be had.
            Unavailable: there may be one later.
        """
        job = _Job(kind, content, asyncio.get_running_loop().create_future())
        self._jobs.add(job)
        try:
            async with self._arrived:
                self._waiting.append(job)
                self._arrived.notify()
            return await job.answer
        finally:
            self._jobs.discard(job)

    def give_up(self) -> None:
        """Nobody works any more: whoever waits is told."""
        for job in self._jobs:
            if not job.answer.done():
                job.answer.set_exception(Unavailable("the static engine was closed"))

    @property
    def process_ids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._employ(worker))

    async def _employ(self, worker: _Worker) -> None:
        try:
            with contextlib.suppress(OSError):
                await worker.start()
            while True:
                batch = await self._next_batch()
                left = await worker.work(batch)
                async with self._arrived:
                    self._waiting.extendleft(reversed(left))
                    self._arrived.notify(len(left))
        finally:
            await worker.stop()

    async def _next_batch(self) -> list[_Job]:
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: self._waiting)
                batch = self._take()
            if batch:
                return batch

    def _take(self) -> list[_Job]:
        """This worker's share: what waits, divided by the workers. A file that killed before travels alone."""
        share = min(MAX_BATCH, -(-len(self._waiting) // len(self._workers)))
        batch: list[_Job] = []
        size = 0
        while self._waiting and len(batch) < share and size < MAX_BATCH_BYTES:
            if batch and (self._waiting[0].deaths or batch[0].deaths):
                break
            job = self._waiting.popleft()
            if not job.answer.done():
                batch.append(job)
                size += len(job.content)
        return batch


class _Worker:
    """One process at a time, started anew when it has died."""

    def __init__(self, directory: Path, file_seconds: float) -> None:
        self.process: Process | None = None
        self._directory = directory
        self._file_seconds = file_seconds
        self._progress = os.open(directory.with_suffix(".progress"), os.O_RDWR | os.O_CREAT, 0o600)

    async def start(self) -> Process:
        self._directory.mkdir(exist_ok=True)
        os.pwrite(self._progress, pack_progress(-1, "start"), 0)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "services.analyzer.engines.static.worker"),
            *(str(self._progress), str(self._file_seconds), str(self._directory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(self._progress,),
            env={"PYTHONPATH": os.pathsep.join(_import_path())},
            cwd=self._directory,
            start_new_session=True,
        )
        return self.process

    async def work(self, batch: list[_Job]) -> list[_Job]:
        """Answers the jobs; returns those that are to be tried again."""
        try:
            process = self.process or await self.start()
        except OSError as error:
            return _verdicts(dict(enumerate(batch)), blamed=None, reason=str(error))
        missing = dict(enumerate(batch))
        late = False
        try:
            async with asyncio.timeout(START_SECONDS + 2 * self._file_seconds * len(batch)):
                await _exchange(process, batch, missing)
        except TimeoutError:
            late = True
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        if not missing:
            return []
        code = await self._bury(process, kill=late)
        return _verdicts(missing, blamed=self._last_words(), reason="timeout" if late else _reason(code))

    def _last_words(self) -> tuple[int, str] | None:
        return unpack_progress(os.pread(self._progress, PROGRESS_BYTES, 0))

    async def _bury(self, process: Process, *, kill: bool) -> int:
        """The exit code. What died by itself is not killed: that would take its exit code from who waits for it."""
        self.process = None
        if kill:
            _kill(process)
        await _close(process)
        return await process.wait()

    async def stop(self) -> None:
        if self.process is not None:
            await self._bury(self.process, kill=True)
        if self._progress >= 0:
            os.close(self._progress)
            self._progress = -1


def _import_path() -> list[str]:
    """Ours, without the working directory: that may be the scanned repository, whose modules must never run."""
    here = Path.cwd()
    return [str(_PROJECT), *(entry for entry in sys.path if entry and Path(entry) != here)]


async def _exchange(process: Process, batch: list[_Job], missing: dict[int, _Job]) -> None:
    stdin, stdout = _pipes(process)
    stdin.write(pack_requests([job.request for job in batch]))
    await stdin.drain()
    while missing:
        length, place = HEADER.unpack(await stdout.readexactly(HEADER.size))
        payload = await stdout.readexactly(length)
        job = missing.pop(place)
        if not job.answer.done():
            job.answer.set_result(payload)


def _kill(process: Process) -> None:
    """Not by ``Process.kill``, which looks whether it has ended and so takes its exit code away."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def _close(process: Process) -> None:
    """Reads what is left and closes both pipes, so that nothing is left to the collector."""
    stdin, stdout = _pipes(process)
    stdin.close()
    with contextlib.suppress(ConnectionError, OSError):
        await stdin.wait_closed()
    with contextlib.suppress(ConnectionError):
        await stdout.read()


def _pipes(process: Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the worker was started without pipes")
    return process.stdin, process.stdout


def _verdicts(missing: dict[int, _Job], *, blamed: tuple[int, str] | None, reason: str) -> list[_Job]:
    """Who is tried again, and without what. Where nobody is known to be guilty, everybody is suspected a little."""
    place, tool = blamed or (-1, "start")
    guilty = missing.get(place)
    if guilty is not None:
        guilty.given_up[tool] = reason
    for job in [guilty] if guilty else missing.values():
        job.deaths += 1
        if job.deaths >= MAX_DEATHS and not job.answer.done():
            job.answer.set_exception(_last_resort(guilty, tool, reason))
    return [job for job in missing.values() if not job.answer.done()]


def _last_resort(guilty: _Job | None, tool: str, reason: str) -> Exception:
    if guilty is None:
        return Unavailable(f"workers of the static engine do not live: {tool}: {reason}")
    return Broken(f"{MAX_DEATHS} workers died on this file, the last in {tool}: {reason}")


def _reason(code: int) -> str:
    if code == _TIMED_OUT:
        return "timeout"
    return f"crash (signal {-code})" if code < 0 else f"crash (exit {code})"


@contextlib.asynccontextmanager
async def open_pool(*, workers: int, file_seconds: float) -> AsyncIterator[Pool]:
    """Workers start at once and side by side; they are gone when this is left."""
    directory = Path(tempfile.mkdtemp(prefix="strandline-static-", dir=_memory_directory()))
    pool = Pool(workers, file_seconds, directory)
    running = asyncio.create_task(pool.run(), name="static-engine")
    try:
        yield pool
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        pool.give_up()
        shutil.rmtree(directory, ignore_errors=True)


def _memory_directory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
