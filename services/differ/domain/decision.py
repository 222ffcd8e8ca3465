"""Which files are analysed, and why the others are not: exactly one decision for every entry.

The order of the rules is the order of the reasons a person would give: what it is, what the owner said, whose it
is, who wrote it, and only then how it looks inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from libs.events.differ import SkipReason
from services.differ.domain.content import binary_reason, generated_reason, is_lfs_pointer
from services.differ.domain.file_names import binary_extension, generated_name, vendored_directory
from services.differ.domain.scan_settings import ScanSettings, Verdict
from services.differ.domain.tree import NO_ATTRIBUTES, SUBMODULE, SYMLINK, Attributes, Entry

POINTER_BYTES = 1024
"""Files this small are read before their name is judged: they may be pointers to something else."""
_MARKER = re.compile(
    rb"strandline omitted file\nreason: (too_large|unreadable)\nsize: (\d{1,20})\nmodified: \d{1,20}\n"
)


@dataclass(frozen=True, slots=True)
class Queue:
    """The file is to be analysed."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The file is not analysed; ``detail`` is what decided it, ``size`` the true one where the entry's is not."""

    reason: SkipReason
    detail: str = ""
    size: int | None = None


Decision = Queue | Skip
QUEUE = Queue()


def omitted_marker(reason: str, *, size: int, modified_ns: int) -> bytes:
    """What a snapshot of a work tree holds in place of a file that is too large to copy, or cannot be read."""
    return f"strandline omitted file\nreason: {reason}\nsize: {size}\nmodified: {modified_ns}\n".encode()


def decide_unread(entry: Entry, settings: ScanSettings, attributes: Attributes = NO_ATTRIBUTES) -> Skip | None:
    """The decision without the content; None when it takes the content."""
    if entry.mode == SUBMODULE:
        return Skip(SkipReason.SUBMODULE)
    if entry.mode == SYMLINK:
        return Skip(SkipReason.SYMLINK)
    verdict = _verdict(entry, settings)
    return _by_place(entry, verdict, attributes) or _by_size(entry, verdict)


def decide(
    entry: Entry, content: bytes | None, settings: ScanSettings, attributes: Attributes = NO_ATTRIBUTES
) -> Decision:
    """The decision with the content; None for a content that is missing."""
    skip = decide_unread(entry, settings, attributes)
    if skip is not None:
        return skip
    if content is None:
        return Skip(SkipReason.UNREADABLE, "the object is missing or damaged")
    return _by_content(entry, content, _verdict(entry, settings), attributes) or QUEUE


def _verdict(entry: Entry, settings: ScanSettings) -> Verdict:
    return settings.judge(entry.path.decode("utf-8", "surrogateescape"))


def _by_place(entry: Entry, verdict: Verdict, attributes: Attributes) -> Skip | None:
    if verdict.excluded_by is not None:
        return Skip(SkipReason.EXCLUDED, _fit(verdict.excluded_by))
    if not verdict.vendored and attributes.vendored is not False:
        directory = "linguist-vendored" if attributes.vendored else vendored_directory(entry.path)
        if directory:
            return Skip(SkipReason.VENDORED, _fit(directory))
    if not verdict.generated and attributes.generated is not False:
        kind = "linguist-generated" if attributes.generated else generated_name(entry.path)
        if kind:
            return Skip(SkipReason.GENERATED, kind)
    return None


def _by_size(entry: Entry, verdict: Verdict) -> Skip | None:
    if entry.size is None:
        return Skip(SkipReason.UNREADABLE, "the object is missing or damaged")
    if entry.size == 0:
        return Skip(SkipReason.EMPTY)
    extension = binary_extension(entry.path) if entry.size >= POINTER_BYTES else None
    if extension:
        return Skip(SkipReason.BINARY, extension)
    if entry.size > verdict.max_file_size:
        return Skip(SkipReason.TOO_LARGE, f"{entry.size} bytes, the limit is {verdict.max_file_size}")
    return None


def _by_content(entry: Entry, content: bytes, verdict: Verdict, attributes: Attributes) -> Skip | None:
    marker = _MARKER.fullmatch(content) if len(content) < POINTER_BYTES else None
    if marker:
        return _omitted(SkipReason(marker[1].decode()), int(marker[2]))
    if is_lfs_pointer(content):
        return Skip(SkipReason.LFS_POINTER)
    binary = binary_extension(entry.path) or binary_reason(content)
    if binary:
        return Skip(SkipReason.BINARY, binary)
    if not content.strip():
        return Skip(SkipReason.EMPTY, "only white space")
    if verdict.generated or attributes.generated is False:
        return None
    generated = generated_reason(content, path=entry.path)
    return Skip(SkipReason.GENERATED, generated) if generated else None


def _omitted(reason: SkipReason, size: int) -> Skip:
    detail = f"{size} bytes on disk" if reason is SkipReason.TOO_LARGE else "the file on disk cannot be read"
    return Skip(reason, detail, size)


def _fit(detail: str) -> str:
    return detail if len(detail) <= 200 else detail[:199] + "…"
