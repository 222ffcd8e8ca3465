"""The listing of a scan: one decision for every file, the order of those that are queued, and the facts that say so.

It holds tuples, not facts: a hundred thousand facts would be 200 MB. ``facts`` makes them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Literal, NamedTuple

from libs.events.differ import FileQueued, FileRemoved, FileSkipped, SkipReason
from libs.events.subjects import file_key, path_text
from services.differ.domain.decision import Skip, decide, decide_unread
from services.differ.domain.ranking import Ranked, density, order, trouble
from services.differ.domain.scan_settings import ScanSettings
from services.differ.domain.tree import NO_ATTRIBUTES, Attributes, Change, Entry

MAX_PATH_TEXT = 32 * 1024
FileFacts = FileQueued | FileSkipped | FileRemoved
Kind = Literal["added", "modified", "renamed", "listed"]


class _Queued(NamedTuple):
    content_hash: str
    size: int
    kind: Kind
    previous_path: bytes | None


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a scan lists: entries to decide on, how they changed, and what is gone."""

    entries: Sequence[Entry]
    changes: Mapping[bytes, Change] = field(default_factory=dict)
    removed: Mapping[bytes, bytes | None] = field(default_factory=dict)
    """Paths of the base that are gone, with the path they were renamed to."""


def candidates(entries: Sequence[Entry] | None, changes: Sequence[Change] | None) -> Candidates:
    """Every entry of a full listing, or (``entries`` None) only what changed; what is gone in both cases."""
    by_path = {change.entry.path: change for change in changes or () if change.kind != "deleted"}
    removed: dict[bytes, bytes | None] = {}
    for change in changes or ():
        if change.kind == "deleted":
            removed.setdefault(change.entry.path, None)
        elif change.previous_path is not None:
            removed[change.previous_path] = change.entry.path
    listed = entries if entries is not None else [change.entry for change in by_path.values()]
    here = {entry.path for entry in listed}
    gone = {path: target for path, target in removed.items() if path not in here}
    return Candidates(entries=listed, changes=by_path, removed=gone)


def departures(changes: Sequence[Change]) -> list[Change]:
    """Of what changed since an earlier tree only the paths that are gone, renamed ones included."""
    return [
        Change(kind="deleted", entry=replace(change.entry, path=change.previous_path or change.entry.path))
        for change in changes
        if change.kind == "deleted" or change.previous_path is not None
    ]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is fixed when a scan starts: totals, and every file's fact in the order of publishing."""

    queued: list[tuple[bytes, _Queued]]
    skipped: dict[bytes, Skip]
    sizes: dict[bytes, int]
    removed: Mapping[bytes, bytes | None]

    @property
    def total(self) -> int:
        """Files that will have an outcome."""
        return len(self.queued) + len(self.skipped) + len(self.removed)

    def skip_counts(self) -> dict[SkipReason, int]:
        """Skipped files by reason, ``deleted`` included."""
        counts: dict[SkipReason, int] = {}
        for skip in self.skipped.values():
            counts[skip.reason] = counts.get(skip.reason, 0) + 1
        if self.removed:
            counts[SkipReason.DELETED] = len(self.removed)
        return counts

    def facts(self, *, repository_id: str, scan_id: str, engine: str) -> Iterator[FileFacts]:
        """Removed and skipped files, then the queued ones, the likeliest trouble first."""
        going_on = {path for path, _ in self.queued}
        for path, target in self.removed.items():
            renamed_to = target if target in going_on else None
            yield FileRemoved(
                repository_id=repository_id,
                scan_id=scan_id,
                key=file_key(path),
                path=shown_path(path),
                renamed_to=shown_path(renamed_to) if renamed_to is not None else None,
                renamed_to_key=file_key(renamed_to) if renamed_to is not None else None,
            )
        for path, skip in self.skipped.items():
            yield FileSkipped(
                repository_id=repository_id,
                scan_id=scan_id,
                key=file_key(path),
                path=shown_path(path),
                reason=skip.reason,
                size=self.sizes.get(path, 0) if skip.size is None else skip.size,
                detail=skip.detail,
            )
        for position, (path, file) in enumerate(self.queued):
            previous = file.previous_path
            yield FileQueued(
                repository_id=repository_id,
                scan_id=scan_id,
                key=file_key(path),
                path=shown_path(path),
                content_hash=file.content_hash,
                size=file.size,
                engine=engine,
                previous_key=file_key(previous) if previous is not None else None,
                previous_path=shown_path(previous) if previous is not None else None,
                change=file.kind,
                position=position,
            )


class ListingBuilder:
    """Takes contents in any order and chunks, decides on every file once, and ends in a ``Listing``."""

    def __init__(
        self,
        listed: Candidates,
        settings: ScanSettings,
        *,
        attributes: Mapping[bytes, Attributes] | None = None,
        churn: Mapping[bytes, int] | None = None,
    ) -> None:
        self._listed = listed
        self._settings = settings
        self._attributes = attributes or {}
        self._churn = churn or {}
        self._waiting: dict[str, list[Entry]] = {}
        self._queued: dict[bytes, _Queued] = {}
        self._skipped: dict[bytes, Skip] = {}
        self._sizes: dict[bytes, int] = {}
        self._ranked: list[Ranked] = []
        for entry in listed.entries:
            self._begin(entry)

    def wanted(self) -> list[str]:
        """The objects whose content it takes to decide, in the order of the listing, once each."""
        return list(self._waiting)

    @property
    def largest(self) -> int:
        """The size of the largest of them."""
        return max((entry.size or 0 for entries in self._waiting.values() for entry in entries), default=0)

    def take(self, contents: Sequence[tuple[str, bytes | None]]) -> dict[str, bytes]:
        """Decide on the files that have these contents; returns those to keep, by content hash."""
        kept: dict[str, bytes] = {}
        for oid, content in contents:
            for entry in self._waiting.pop(oid, ()):
                content_hash = self._decide(entry, content)
                if content_hash is not None and content is not None:
                    kept[content_hash] = content
        return kept

    def finish(self) -> Listing:
        """The listing. A content that never came is missing from the repository."""
        self.take([(oid, None) for oid in list(self._waiting)])
        queued = [(ranked.path, self._queued[ranked.path]) for ranked in order(self._ranked)]
        return Listing(queued=queued, skipped=self._skipped, sizes=self._sizes, removed=self._listed.removed)

    def _begin(self, entry: Entry) -> None:
        skip = decide_unread(entry, self._settings, self._attributes.get(entry.path, NO_ATTRIBUTES))
        if skip is None:
            self._waiting.setdefault(entry.oid, []).append(entry)
        else:
            self._skip(entry, skip)

    def _decide(self, entry: Entry, content: bytes | None) -> str | None:
        attributes = self._attributes.get(entry.path, NO_ATTRIBUTES)
        decision = decide(entry, content, self._settings, attributes)
        if isinstance(decision, Skip) or content is None:
            self._skip(entry, decision if isinstance(decision, Skip) else Skip(SkipReason.UNREADABLE))
            return None
        content_hash = hash_of(content)
        change = self._listed.changes.get(entry.path)
        kind: Kind = "listed" if change is None or change.kind == "deleted" else change.kind
        previous = change.previous_path if change is not None else None
        self._queued[entry.path] = _Queued(content_hash, len(content), kind, previous)
        score = trouble(churn=self._churn.get(entry.path, 0), density=density(content), size=len(content))
        self._ranked.append(Ranked(entry.path, score))
        return content_hash

    def _skip(self, entry: Entry, skip: Skip) -> None:
        self._skipped[entry.path] = skip
        if entry.size:
            self._sizes[entry.path] = entry.size


def hash_of(content: bytes) -> str:
    """The name of a content in the bucket ``blobs``: BLAKE2b-256 in hex."""
    return blake2b(content, digest_size=32).hexdigest()


def shown_path(path: bytes) -> str:
    """The path for people. One that would make a fact too large is cut; identity is the key anyway."""
    text = path_text(path)
    return text if len(text) <= MAX_PATH_TEXT else text[: MAX_PATH_TEXT - 1] + "…"
