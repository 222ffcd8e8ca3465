"""A repository's ``index`` file read as data: what git knew of the files on disk when it last looked.

It saves hashing files that have not changed, and says which ignored files are tracked. Versions 2 to 4.
Split and sparse extensions are told apart, everything else after the entries is passed over.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

_FIXED = struct.Struct(">10I")
_EXTENDED, _SKIP_WORKTREE = 0x4000, 0x4000
_STAGE, _NAME_LENGTH = 0x3000, 0x0FFF
DIRECTORY = 0o040000


class BadIndex(ValueError):
    """The bytes are no index that can be read here."""


@dataclass(frozen=True, slots=True)
class Cached:
    """One path as git last saw it. ``stat`` is (ctime s, mtime s, mtime ns, inode, size), each in 32 bits."""

    mode: int
    oid: str
    stat: tuple[int, int, int, int, int]
    skip_worktree: bool = False
    conflicted: bool = False

    def matches(self, seen: os.stat_result, *, written_ns: int) -> bool:
        """Whether the file on disk is the one git saw, and was not written in the same moment as the index."""
        ctime, mtime, mtime_ns, inode, size = self.stat
        seconds, nanoseconds = divmod(seen.st_mtime_ns, 1_000_000_000)
        return (
            not self.conflicted
            and size == seen.st_size & 0xFFFFFFFF
            and mtime == seconds & 0xFFFFFFFF
            and mtime_ns in (0, nanoseconds)
            and inode in (0, seen.st_ino & 0xFFFFFFFF)
            and ctime in (0, seen.st_ctime_ns // 1_000_000_000 & 0xFFFFFFFF)
            and seen.st_mtime_ns < written_ns
        )


@dataclass(frozen=True, kw_only=True)
class Index:
    """``written_ns``: when the index file was written; ``sparse``: directories that stand for all below."""

    entries: dict[bytes, Cached] = field(default_factory=dict)
    sparse: tuple[bytes, ...] = ()
    written_ns: int = 0


def parse_index(data: bytes, *, oid_bytes: int, written_ns: int) -> Index:
    """The entries of an index file.

    Raises:
        BadIndex: it is damaged, of an unknown version, or split over two files.
    """
    try:
        return _parse(data, oid_bytes, written_ns)
    except (struct.error, IndexError, ValueError) as error:
        raise BadIndex(f"the index cannot be read: {error}") from error


def _parse(data: bytes, oid_bytes: int, written_ns: int) -> Index:
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise BadIndex("it is no index of version 2 to 4")
    entries: dict[bytes, Cached] = {}
    sparse = []
    offset, path = 12, b""
    for _ in range(count):
        cached, offset, path = _entry(data, offset, oid_bytes, path if version == 4 else None)
        if cached.mode == DIRECTORY:
            sparse.append(path)
        else:
            entries[path] = cached
    if _extension_names(data, offset, len(data) - oid_bytes) & {b"link"}:
        raise BadIndex("it is split over two files")
    return Index(entries=entries, sparse=tuple(sparse), written_ns=written_ns)


def _entry(data: bytes, start: int, oid_bytes: int, previous: bytes | None) -> tuple[Cached, int, bytes]:
    ctime, _, mtime, mtime_ns, _, inode, mode, _, _, size = _FIXED.unpack_from(data, start)
    offset = start + _FIXED.size
    oid = data[offset : offset + oid_bytes].hex()
    offset += oid_bytes
    (flags,) = struct.unpack_from(">H", data, offset)
    offset += 2
    more = 0
    if flags & _EXTENDED:
        (more,) = struct.unpack_from(">H", data, offset)
        offset += 2
    path, end = _name(data, start, offset, previous)
    stat = (ctime, mtime, mtime_ns, inode, size)
    cached = Cached(mode, oid, stat, bool(more & _SKIP_WORKTREE), bool(flags & _STAGE))
    return cached, end, path


def _name(data: bytes, start: int, offset: int, previous: bytes | None) -> tuple[bytes, int]:
    """The path and where the next entry starts. Version 4 drops what it shares with the path before it."""
    if previous is None:
        end = data.index(b"\0", offset)
        return data[offset:end], start + ((end - start + 8) & ~7)
    dropped = data[offset] & 127
    while data[offset] & 128:
        offset += 1
        dropped = ((dropped + 1) << 7) | (data[offset] & 127)
    offset += 1
    end = data.index(b"\0", offset)
    return previous[: max(0, len(previous) - dropped)] + data[offset:end], end + 1


def _extension_names(data: bytes, offset: int, end: int) -> set[bytes]:
    names = set()
    while offset + 8 <= end:
        name, size = struct.unpack_from(">4sI", data, offset)
        names.add(name)
        offset += 8 + size
    return names
