"""Keeps a server running: starts it under a guardian, starts it again when it dies, gives up with its last words."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from services.standalone.embedded import guardian
from services.standalone.embedded.account import Account
from services.standalone.embedded.failure import EmbeddedFailed, diagnose, tail

log = structlog.get_logger(__name__)

START_SECONDS = 120.0
"""A store of many gigabytes is recovered before its server answers."""
RELEASE_SECONDS = 3.0
QUICK_SECONDS = 2.0
"""A server that lived longer than this had started well; whatever ended it, it may be started again at once."""
DELAYS = (0.0, 0.1, 0.4, 1.0)
"""Before the first, second … start after quick deaths in a row; after one more we give up."""
TRIES = 2
"""Of a program that ends by itself: once more when it was killed, and no more when it cannot."""
LOG_BYTES = 1_000_000
EXECUTABLES = ("nats-server", "postgres", "initdb")
ENVIRONMENT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What servers inherit: no PGDATA that would lead them elsewhere, no keys that are none of their business."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server, or what prepares its store: how to run it, in which store, and how to end it.

    Every process of it works somewhere below ``store`` and has ``lock`` open; that is how its leftovers are known.
    ``signals`` are sent in turn, each with the seconds it gets to work; what then still lives is killed.
    """

    name: str
    argv: tuple[str, ...]
    store: Path
    directory: Path
    log: Path
    own_logs: tuple[Path, ...] = ()
    signals: tuple[tuple[signal.Signals, float], ...]
    account: Account | None = None

    @property
    def lock(self) -> Path:
        return self.store.with_name(f"{self.store.name}.lock")

    def last_words(self) -> str:
        return diagnose(tail(*self.own_logs, self.log))


@dataclass(frozen=True, kw_only=True)
class Server:
    """A program that keeps running. ``before_start`` clears what a dead one left, ``ready`` says that it answers."""

    program: Program
    before_start: Callable[[], None]
    ready: Callable[[], bool]


async def run_once(program: Program, *, before_start: Callable[[], None]) -> None:
    """Run a program that ends by itself, once its store is free.

    Raises:
        EmbeddedFailed: it ended badly.
    """
    for _ in range(TRIES):
        await release_store(program)
        before_start()
        async with _guarded(program) as process:
            if await process.wait() == 0:
                return
    raise EmbeddedFailed(f"{program.name} failed: {program.last_words()}")


async def keep_running(server: Server, up: asyncio.Event) -> None:
    """Run the server until cancelled; sets ``up`` when it answers for the first time.

    Raises:
        EmbeddedFailed: it died, or did not come to answer, several times in quick succession.
    """
    quick_deaths = 0
    while True:
        lived = await _live_once(server, up)
        quick_deaths = quick_deaths + 1 if lived < QUICK_SECONDS else 0
        if quick_deaths > len(DELAYS):
            how = f"died {quick_deaths} times in a row" if up.is_set() else "does not start"
            raise EmbeddedFailed(f"{server.program.name} {how}: {server.program.last_words()}")
        delay = DELAYS[max(0, quick_deaths - 1)]
        log.warning("server_died", server=server.program.name, lived_seconds=round(lived, 1), delay_seconds=delay)
        await asyncio.sleep(delay)


async def _live_once(server: Server, up: asyncio.Event) -> float:
    """One life of the server; returns for how many seconds it answered."""
    clock = asyncio.get_running_loop().time
    await release_store(server.program)
    server.before_start()
    async with _guarded(server.program) as process:
        ended = asyncio.ensure_future(process.wait())
        try:
            if not await _answers(server, ended):
                return 0.0
            since = clock()
            if up.is_set():
                log.warning("server_restarted", server=server.program.name)
            up.set()
            await ended
            return clock() - since
        finally:
            ended.cancel()


async def _answers(server: Server, ended: asyncio.Future[int]) -> bool:
    """Wait until the server answers; false when it ended before."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not ended.done():
        if server.ready():
            return True
        if asyncio.get_running_loop().time() > deadline:
            raise EmbeddedFailed(f"{server.program.name} does not answer after {START_SECONDS:.0f} s")
        await asyncio.sleep(0.005)
    return False


@contextlib.asynccontextmanager
async def _guarded(program: Program) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program under its guardian; stopped when the block is left.

    The guardian is in a session of its own: a terminal's Ctrl-C is for us, and servers stop last.
    """
    order = {
        "argv": program.argv,
        "directory": str(program.directory),
        "lock": str(program.lock),
        "signals": program.signals,
        "account": program.account and (program.account.uid, program.account.gid),
    }
    with _opened_log(program.log) as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", guardian.__file__, str(program.store)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=output,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | {"LC_ALL": "C"},
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()


@contextlib.contextmanager
def _opened_log(path: Path) -> Iterator[int]:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


async def release_store(program: Program) -> None:
    """Wait until no process of an earlier life has the store; end those that do not end by themselves.

    We hold the data directory, so whoever still has the store was left by somebody dead.

    Raises:
        EmbeddedFailed: something holds the store that is not ours to end.
    """
    if not _store_is_held(program):
        return
    log.info("leftovers_found", server=program.name)
    _end(_leaders(_leftovers(program)), program.signals[0][0])
    if not await _released(program):
        _end(_leftovers(program), signal.SIGKILL)
        if not await _released(program):
            raise EmbeddedFailed(f"{program.store} is still used by another process")


async def _released(program: Program) -> bool:
    deadline = asyncio.get_running_loop().time() + RELEASE_SECONDS
    while _store_is_held(program):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _store_is_held(program: Program) -> bool:
    lock = os.open(program.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _leftovers(program: Program) -> list[psutil.Process]:
    """Servers that work in this store: by their name and working directory, which no pid that was reused has."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() in EXECUTABLES and Path(process.cwd()).is_relative_to(program.store):
                found.append(process)
    return found


def _leaders(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are nobody's child among them: PostgreSQL wants its signals there."""
    pids = {process.pid for process in processes}
    leaders = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in pids:
                leaders.append(process)
    return leaders


def _end(processes: list[psutil.Process], how: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(how)
