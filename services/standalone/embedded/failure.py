"""Why the embedded servers cannot be had, in one sentence for the person at the keyboard."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TAIL_BYTES = 4000
EXPLANATIONS = (
    (r"no space left on device|disk full|insufficient (storage )?resources", "the disk is full"),
    (r"address already in use", "its port or socket is taken by another process"),
    (r"read-only file system", "its directory is read-only"),
    (r"permission denied", "it may not use its directory"),
    (r"database files are incompatible", "its files were written by another version"),
    (r"does not exist.*user ID|effective user ID", "the account it runs under has no entry in the user database"),
    (r"valid checkpoint record|invalid page|is corrupt|corrupted|\bPANIC\b", "its files are damaged"),
)
"""What servers say in their logs, and what that means."""


class EmbeddedFailed(Exception):
    """The embedded servers cannot start or go on; ``reason`` is one sentence that a person can act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system says about ``path`` into ``EmbeddedFailed``."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise EmbeddedFailed(f"the disk of {path} is full") from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            raise EmbeddedFailed(f"{error.filename or path} is not a directory") from error
        raise EmbeddedFailed(f"{error.filename or path} cannot be used: {error.strerror or error}") from error


def diagnose(log: str) -> str:
    """What a server's last words mean, with the words."""
    words = " | ".join(line.strip() for line in log.splitlines()[-4:]) or "it left no message"
    for pattern, meaning in EXPLANATIONS:
        if re.search(pattern, log, re.IGNORECASE):
            return f"{meaning} ({words})"
    return words


def tail(*logs: Path) -> str:
    """The last lines of each log that is there."""
    return "\n".join(_end_of(log) for log in logs if log.exists()).strip()


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
