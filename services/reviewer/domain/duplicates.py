"""Functions that stand in several files alike, as work to unite them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from libs.events.analyzer import Shape
from services.reviewer.domain.priority import Role, role_of
from services.reviewer.domain.snapshot import SourceFile

MOST_CLUSTERS = 30
MOST_FILES = 12
"""A shape in more files than this is a pattern of the project, not a copy somebody forgot."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Equal shapes that stand in the same files: one decision unites them all."""

    paths: tuple[str, ...]
    copies: tuple[tuple[tuple[str, Shape], ...], ...]

    @property
    def lines(self) -> int:
        """What would go if one copy of each stayed."""
        return sum(_length(copy[0][1]) * (len(copy) - 1) for copy in self.copies)

    @property
    def role(self) -> Role:
        roles = {role_of(path) for path in self.paths}
        return next(role for role in ("product", "periphery", "tests") if role in roles)

    @property
    def cause(self) -> tuple[str, ...]:
        return ("duplicate", *self.paths)


def clusters(files: Iterable[SourceFile]) -> list[Cluster]:
    """What is worth uniting, the most lines first; product code before the rest."""
    by_hash: dict[str, list[tuple[str, Shape]]] = defaultdict(list)
    for file in files:
        for shape in file.shapes:
            by_hash[shape.hash].append((file.path, shape))
    by_files: dict[tuple[str, ...], list[tuple[tuple[str, Shape], ...]]] = defaultdict(list)
    for places in by_hash.values():
        paths = tuple(sorted({path for path, _ in places}))
        if len(places) > 1 and len(paths) <= MOST_FILES:
            by_files[paths].append(tuple(sorted(places, key=lambda place: (place[0], place[1].start_line))))
    found = [Cluster(paths, tuple(sorted(copies, key=_order))) for paths, copies in by_files.items()]
    found.sort(key=lambda cluster: (cluster.role != "product", -cluster.lines, cluster.paths))
    return found[:MOST_CLUSTERS]


def _order(copy: tuple[tuple[str, Shape], ...]) -> tuple[int, str, int]:
    path, shape = copy[0]
    return (-_length(shape), path, shape.start_line)


def _length(shape: Shape) -> int:
    return shape.end_line - shape.start_line + 1
