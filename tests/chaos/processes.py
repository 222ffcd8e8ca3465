"""Processes that the chaos starts and kills: found with all their descendants, and seen to be gone."""

from __future__ import annotations

import contextlib

import psutil

GONE_SECONDS = 20.0


class Sightings:
    """Every process ever seen, so that the end of the test can tell that none is left."""

    def __init__(self) -> None:
        self._seen: set[psutil.Process] = set()

    def family(self, pid: int) -> list[psutil.Process]:
        """The process and all its descendants now, oldest first; none when it is gone."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            found = [parent, *parent.children(recursive=True)]
        self._seen.update(found)
        return found

    def left(self) -> list[str]:
        """Those that are still there after they had time to notice that they should not be; they are ended."""
        _, alive = psutil.wait_procs(list(self._seen), timeout=GONE_SECONDS)
        return [_end(process) for process in alive]


def kill(process: psutil.Process) -> None:
    """``kill -9``; no error when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def _end(process: psutil.Process) -> str:
    try:
        words = f"{process.pid} {process.status()} {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        words = str(process.pid)
    kill(process)
    return words
