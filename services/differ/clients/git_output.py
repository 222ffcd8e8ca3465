"""What git's plumbing prints with ``-z``, read into our words. Nothing of it is trusted to be well formed."""

from __future__ import annotations

from collections.abc import Sequence

from services.differ.domain.tree import SUBMODULE, Attributes, Change, ChangeKind, Entry
from services.differ.ports import Contents

KINDS: dict[bytes, ChangeKind] = {b"A": "added", b"M": "modified", b"T": "modified", b"D": "deleted", b"R": "renamed"}
YES = (b"set", b"true")
NO = (b"unset", b"false")


def parse_tree(output: bytes) -> list[Entry]:
    """``ls-tree -r -z -l``. A path that a damaged tree holds twice counts once, as it was first."""
    found: dict[bytes, Entry] = {}
    for record in output.split(b"\0"):
        head, tab, path = record.partition(b"\t")
        if not tab:
            continue
        mode, _, oid, size = head.split()
        if path not in found:
            known = int(size) if size.isdigit() else None
            found[path] = Entry(path=path, mode=int(mode, 8), oid=oid.decode(), size=known)
    return list(found.values())


def parse_raw_diff(output: bytes) -> list[Change]:
    """``diff-tree -r -z --raw``, sizes still unknown, one change per path."""
    found: dict[bytes, Change] = {}
    fields = iter(output.split(b"\0"))
    for head in fields:
        if not head.startswith(b":"):
            continue
        old_mode, new_mode, old_oid, new_oid, status = head[1:].split()
        kind = KINDS.get(status[:1], "modified")
        first = next(fields)
        path, previous = (next(fields), first) if kind == "renamed" else (first, None)
        mode, oid = (old_mode, old_oid) if kind == "deleted" else (new_mode, new_oid)
        entry = Entry(path=path, mode=int(mode, 8), oid=oid.decode(), size=None)
        if path not in found or found[path].kind == "deleted":
            found[path] = Change(kind=kind, entry=entry, previous_path=previous)
    return list(found.values())


def with_sizes(changes: Sequence[Change], sizes: dict[str, int]) -> list[Change]:
    """The changes with the sizes of those blobs that are there."""
    return [
        Change(
            kind=change.kind,
            entry=Entry(
                path=change.entry.path,
                mode=change.entry.mode,
                oid=change.entry.oid,
                size=None if change.entry.mode == SUBMODULE else sizes.get(change.entry.oid),
            ),
            previous_path=change.previous_path,
        )
        for change in changes
    ]


def parse_sizes(output: bytes) -> dict[str, int]:
    """``cat-file --batch-check``: sizes of the blobs that are there."""
    sizes = {}
    for line in output.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] == b"blob" and parts[2].isdigit():
            sizes[parts[0].decode()] = int(parts[2])
    return sizes


def parse_attributes(output: bytes) -> dict[bytes, Attributes]:
    """``check-attr -z`` of linguist-generated and linguist-vendored."""
    said: dict[bytes, dict[bytes, bool]] = {}
    fields = output.split(b"\0")
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if value in YES or value in NO:
            said.setdefault(path, {})[name] = value in YES
    return {
        path: Attributes(generated=values.get(b"linguist-generated"), vendored=values.get(b"linguist-vendored"))
        for path, values in said.items()
    }


def safe_in_index(path: bytes) -> bool:
    """Whether git would take the path into an index. A made-up tree may hold others; they are only names to us."""
    return not any(part in (b"", b".", b"..") or part.lower() == b".git" for part in path.split(b"/"))


class BlobParser:
    """Answers of ``cat-file --batch`` in the order of the questions, from chunks cut anywhere."""

    def __init__(self, wanted: Sequence[str], *, most: int) -> None:
        self._wanted = iter(wanted)
        self._most = most
        self._buffer = b""
        self._skipping = 0

    def feed(self, chunk: bytes) -> Contents:
        """The answers that are complete now. What is over the limit is dropped as it comes in."""
        if self._skipping:
            dropped = min(self._skipping, len(chunk))
            self._skipping -= dropped
            chunk = chunk[dropped:]
        buffer, offset = self._buffer + chunk, 0
        found: Contents = []
        while (line_end := buffer.find(b"\n", offset)) >= 0:
            size = _size_of(buffer[offset:line_end])
            start = line_end + 1
            if size is None:
                found.append((next(self._wanted), None))
                offset = start
            elif size > self._most:
                found.append((next(self._wanted), None))
                offset = min(start + size + 1, len(buffer))
                self._skipping = start + size + 1 - offset
            elif start + size < len(buffer):
                found.append((next(self._wanted), buffer[start : start + size]))
                offset = start + size + 1
            else:
                break
        self._buffer = buffer[offset:]
        return found


def _size_of(header: bytes) -> int | None:
    """The size that ``<oid> <type> <size>`` announces; None for ``<oid> missing``, after which nothing follows."""
    parts = header.split(b" ")
    return int(parts[-1]) if len(parts) == 3 and parts[2].isdigit() else None
