"""The data directory: held by one process at a time, which says how to be reached by the next one."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.standalone.embedded.failure import EmbeddedFailed as EmbeddedFailed
from services.standalone.embedded.failure import explained

LAYOUT = 1
"""Grows when an older version could not use the directory any more."""
SOCKET_LIMIT = 100
"""Bytes in a unix socket's path that work everywhere (104 with the final zero on macOS, 108 on Linux)."""
PATIENCE = 5.0
_held_by_us: set[Path] = set()
"""The lock is the process's, not the file descriptor's, so a process has to remember what it holds."""


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A directory that this process holds, and the socket to serve the HTTP API on."""

    path: Path
    socket: Path


class Held(Exception):
    """Another process holds the directory. ``socket`` is where its HTTP API is or soon will be."""

    def __init__(self, path: Path, *, pid: int | None, socket: Path | None) -> None:
        super().__init__(f"{path} is held by process {pid if pid is not None else 'unknown'}")
        self.pid = pid
        self.socket = socket


@contextlib.asynccontextmanager
async def hold_directory(path: Path, *, patience: float = PATIENCE) -> AsyncIterator[Holding]:
    """Make the directory (0700) if need be and hold it until the block is left; the system lets go when we die.

    A holder whose socket does not answer is starting, stopping or dying: it gets ``patience`` seconds.

    Raises:
        Held: another live process holds it.
        EmbeddedFailed: it cannot be made or written, or a newer version laid it out.
    """
    with explained(path):
        path = _make(path)
        lock = await _lock(path, patience)
    try:
        with explained(path):
            directory = _take(path)
        try:
            yield directory
        finally:
            _leave(directory)
    finally:
        _held_by_us.discard(path)
        os.close(lock)


def socket_directory(wanted: Path, name: str) -> Path:
    """``wanted``, or a short stand-in for it in a temp directory when sockets called ``name`` would not fit there.

    Commas and quotes do not survive lists of socket directories, so a path with these has a stand-in too.
    """
    if _fits(wanted / name):
        return wanted
    mark = hashlib.blake2b(os.fsencode(wanted), digest_size=6).hexdigest()
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):
        if _fits(base / f"strandline-{mark}" / name):
            return base / f"strandline-{mark}"
    raise EmbeddedFailed(f"{tempfile.gettempdir()} is too long a path for unix sockets; set TMPDIR to a shorter one")


def make_private(directory: Path, *owners: int) -> None:
    """Make the directory with mode 0700; one that somebody else put there is refused, it would see our sockets."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), *owners}:
        raise EmbeddedFailed(f"{directory} belongs to somebody else; remove it")
    directory.chmod(0o700)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file, readable by us alone, so that a reader sees the old text or the new."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) < SOCKET_LIMIT and not set('",\\') & set(str(path))


def _make(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = path.resolve()
    if path.stat().st_uid != os.geteuid():
        raise EmbeddedFailed(f"{path} belongs to another user")
    if path.stat().st_mode & 0o066:
        path.chmod(path.stat().st_mode & 0o711)
    return path


async def _lock(path: Path, patience: float) -> int:
    """Take the lock, or learn who has it.

    POSIX record locks rather than flock: a worker that we forked would share a flock and keep it after our death.
    """
    deadline = asyncio.get_running_loop().time() + patience
    if path in _held_by_us:
        raise Held(path, pid=os.getpid(), socket=_socket_of(path))
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _held_by_us.add(path)
                return lock
            held = _holder(path)
            if _answers(held.socket) or asyncio.get_running_loop().time() > deadline:
                raise held
            await asyncio.sleep(0.02)
    except BaseException:
        os.close(lock)
        raise


def _holder(path: Path) -> Held:
    """Who says it holds the directory; nobody knows while a new holder has not said it yet."""
    try:
        holder = json.loads((path / "holder.json").read_text())
        if psutil.Process(holder["pid"]).create_time() == holder["started"]:
            return Held(path, pid=holder["pid"], socket=Path(holder["socket"]))
    except (OSError, ValueError, LookupError, TypeError, psutil.Error):
        pass
    return Held(path, pid=None, socket=None)


def _answers(path: Path | None) -> bool:
    if path is None:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == 0


def _socket_of(path: Path) -> Path:
    return socket_directory(path / "run", "strandline.sock") / "strandline.sock"


def _take(path: Path) -> Holding:
    _check_layout(path / "layout")
    directory = Holding(path=path, socket=_socket_of(path))
    # A directory of its own: servers open their sockets for everybody, and as root ours can be walked through.
    make_private(directory.socket.parent)
    directory.socket.unlink(missing_ok=True)
    me = psutil.Process()
    holder = {"pid": me.pid, "started": me.create_time(), "socket": str(directory.socket)}
    write_atomically(path / "holder.json", json.dumps(holder))
    return directory


def _check_layout(file: Path) -> None:
    if not file.exists():
        write_atomically(file, str(LAYOUT))
    layout = file.read_text().strip()
    if not layout.isdecimal() or int(layout) > LAYOUT:
        raise EmbeddedFailed(f"{file.parent} was written by a newer version of strandline; update this one")


def _leave(directory: Holding) -> None:
    (directory.path / "holder.json").unlink(missing_ok=True)
    directory.socket.unlink(missing_ok=True)
    if directory.socket.parent.parent != directory.path:
        directory.socket.parent.rmdir()
