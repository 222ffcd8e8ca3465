"""The words for what git holds: an entry of a tree, and how two trees differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SYMLINK = 0o120000
SUBMODULE = 0o160000

ChangeKind = Literal["added", "modified", "deleted", "renamed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One path of a tree. ``size`` is None where there is no blob, or the object is not in the repository."""

    path: bytes
    mode: int
    oid: str
    size: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One path that differs from the base. A deleted entry is as it was in the base."""

    kind: ChangeKind
    entry: Entry
    previous_path: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes:
    """What ``.gitattributes`` says of a path; None: nothing."""

    generated: bool | None = None
    vendored: bool | None = None


NO_ATTRIBUTES = Attributes()
