"""Likeliest trouble first, cheaply: files that change often, branch a lot and are large.

    trouble = (1 + log2(1 + churn)) · (1 + density) · log2(2 + size)
    density = 10 · (branches + deep lines) / lines, at most 8, taken from the first 64 KiB

``churn`` is the number of recent commits that touched the path. Each factor is at least 1, so that none of them
alone can put a file last; ties go by path. It is an estimate of order, of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

SAMPLE = 64 * 1024
BRANCHES = (
    b"if ",
    b"if(",
    b"for ",
    b"for(",
    b"while",
    b"case ",
    b"catch",
    b"except",
    b"&&",
    b"||",
    b"match ",
    b"goto ",
)
DEEP = (b"\n            ", b"\n\t\t\t")
MAX_DENSITY = 8.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A path and how likely it is in trouble."""

    path: bytes
    trouble: float


def density(content: bytes) -> float:
    """Branches and deeply indented lines per line, from byte counts alone: no parser, any language."""
    sample = content[:SAMPLE]
    signs = sum(map(sample.count, BRANCHES)) + sum(map(sample.count, DEEP))
    return min(MAX_DENSITY, 10 * signs / (sample.count(b"\n") + 1))


def trouble(*, churn: int, density: float, size: int) -> float:
    """The formula above. A file without a known size or history still has a place."""
    return (1 + log2(1 + max(0, churn))) * (1 + density) * log2(2 + max(0, size))


def order(files: Sequence[Ranked]) -> list[Ranked]:
    """The likeliest trouble first; the same files in any order give the same answer."""
    return sorted(files, key=lambda ranked: (-ranked.trouble, ranked.path))
