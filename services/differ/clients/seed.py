"""A new mirror of a place on disk begins with a copy of its objects: a copy costs a tenth of a fetch.

The fetch that follows checks that everything is there, and brings what is not. Only what git names as it names packs
and objects is copied, regular files only, and no link is followed; borrowed objects (alternates) are not.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_PACK = re.compile(r"^pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\.pack$")
_FAN = re.compile(r"^[0-9a-f]{2}$")
_LOOSE = re.compile(r"^(?:[0-9a-f]{38}|[0-9a-f]{62})$")


def copy_objects(source: Path, target: Path) -> None:
    """Copy packs and loose objects between two ``objects`` folders; what cannot be copied is left out."""
    for folder, names in _folders(source):
        (target / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            # Gone, a link, unreadable, or no room: the fetch says so if it matters.
            with contextlib.suppress(OSError):
                _copy_one(source / folder / name, target / folder / name)


def _folders(source: Path) -> Iterator[tuple[str, list[str]]]:
    packs = [name for name in _names(source / "pack") if _PACK.match(name)]
    # The index last: git takes a pack for whole as soon as its index is there.
    yield "pack", [name for pack in packs for name in (pack, f"{pack.removesuffix('.pack')}.idx")]
    for fan in _names(source):
        if _FAN.match(fan):
            yield fan, [name for name in _names(source / fan) if _LOOSE.match(name)]


def _names(folder: Path) -> list[str]:
    if folder.is_symlink():
        return []
    with contextlib.suppress(OSError):
        return sorted(os.listdir(folder))
    return []


def _copy_one(source: Path, target: Path) -> None:
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as reading:
        if not stat.S_ISREG(os.fstat(reading.fileno()).st_mode):
            return
        try:
            with target.open("xb") as writing:
                shutil.copyfileobj(reading, writing, 1 << 20)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        target.chmod(0o444)
