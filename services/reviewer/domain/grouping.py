"""Findings into pieces of work: one cause and one place each, between one and four hours.

A rule's findings stay together as far as four hours go: over the whole repository if they are few, else by directory,
file and part of a file. What is left over in pieces too small to plan is put together with its like from the same
directory: same category, same urgency, product code apart from tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from libs.events.analyzer import Category, Severity
from services.reviewer.domain.priority import Role, priority_of, role_of
from services.reviewer.domain.snapshot import Problem

MINUTES: dict[Category, tuple[int, int, int, int]] = {
    Category.SECURITY: (60, 45, 30, 15),
    Category.CORRECTNESS: (45, 30, 20, 10),
    Category.ERROR_HANDLING: (30, 25, 15, 8),
    Category.PERFORMANCE: (60, 45, 30, 15),
    Category.TESTING: (60, 45, 30, 15),
    Category.REFACTORING: (120, 90, 60, 20),
    Category.DOCUMENTATION: (20, 15, 10, 5),
}
"""Minutes to understand, mend and test one finding: critical, high, medium, low.

Whoever has mended a rule once in a file is quicker each time: the n-th place takes one n-th of the first. Only a
refactoring is as much work every time.
"""

MOST_MINUTES = 240
LEAST_MINUTES = 60
SMALL_MINUTES = 45
MOST_MIXED_MINUTES = 150
LEAST_MIXED_MINUTES = 45
DEEPEST = 12
"""Directories below the twelfth are not told apart, so that no path can exhaust the stack."""

LOW_CONFIDENCE = 0.3


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that make one task. ``cause`` names it for good."""

    cause: tuple[str, ...]
    role: Role
    problems: tuple[Problem, ...]
    minutes: float
    directory: str


@dataclass(slots=True)
class _Node:
    name: str
    children: dict[str, _Node] = field(default_factory=dict)
    problems: list[tuple[Problem, float]] = field(default_factory=list)
    minutes: float = 0.0

    def everything(self) -> list[tuple[Problem, float]]:
        found = list(self.problems)
        for name in sorted(self.children):
            found += self.children[name].everything()
        return found


@dataclass(frozen=True, slots=True)
class _Piece:
    place: str
    problems: Sequence[tuple[Problem, float]]

    @property
    def minutes(self) -> float:
        return round(sum(minutes for _, minutes in self.problems), 3)


def group(problems: Iterable[Problem]) -> tuple[list[Group], dict[str, int]]:
    """Groups in a fixed order, and how many findings are in none, by reason."""
    by_rule: dict[tuple[str, Role], list[Problem]] = defaultdict(list)
    unplanned: dict[str, int] = defaultdict(int)
    for problem in problems:
        if problem.confidence < LOW_CONFIDENCE:
            unplanned["low confidence"] += 1
        else:
            by_rule[problem.rule, role_of(problem.path)].append(problem)
    groups, small = _by_rule(by_rule)
    return groups + _mixed(small), dict(unplanned)


def _by_rule(
    by_rule: dict[tuple[str, Role], list[Problem]],
) -> tuple[list[Group], dict[tuple[str, str, Role], list[tuple[Problem, float]]]]:
    groups: list[Group] = []
    small: dict[tuple[str, str, Role], list[tuple[Problem, float]]] = defaultdict(list)
    for (rule, role), found in sorted(by_rule.items()):
        for piece in _cut(_tree(_estimate(found)), "", MOST_MINUTES, LEAST_MINUTES):
            if _stands_alone(piece):
                groups.append(_group(("rule", rule, role, piece.place), role, piece))
            else:
                for problem, minutes in piece.problems:
                    small[problem.category, priority_of(problem, role), role].append((problem, minutes))
    return groups, small


def _stands_alone(piece: _Piece) -> bool:
    worst = {problem.severity for problem, _ in piece.problems}
    return piece.minutes >= SMALL_MINUTES or not worst.isdisjoint((Severity.CRITICAL, Severity.HIGH))


def _mixed(small: dict[tuple[str, str, Role], list[tuple[Problem, float]]]) -> list[Group]:
    return [
        _group(("small", category, priority, role, piece.place), role, piece)
        for (category, priority, role), found in sorted(small.items())
        for piece in _cut(_tree(found), "", MOST_MIXED_MINUTES, LEAST_MIXED_MINUTES)
    ]


def _group(cause: tuple[str, ...], role: Role, piece: _Piece) -> Group:
    problems = sorted(
        (problem for problem, _ in piece.problems), key=lambda problem: (problem.path, problem.line, problem.id)
    )
    return Group(cause, role, tuple(problems), piece.minutes, common_directory([problem.path for problem in problems]))


def common_directory(paths: Iterable[str]) -> str:
    """The deepest directory that holds all the paths; empty for the root."""
    split = [path.split("/")[:-1] for path in paths]
    low, high = min(split, default=[]), max(split, default=[])
    common = []
    for one, other in zip(low, high, strict=False):
        if one != other:
            break
        common.append(one)
    return "/".join(common)


def _estimate(problems: Iterable[Problem]) -> list[tuple[Problem, float]]:
    seen: dict[tuple[str, str], int] = defaultdict(int)
    estimated = []
    for problem in sorted(problems, key=lambda problem: (problem.path, problem.line, problem.id)):
        seen[problem.rule, problem.key] += 1
        times = 1 if problem.category is Category.REFACTORING else seen[problem.rule, problem.key]
        estimated.append((problem, minutes_of(problem) / times))
    return estimated


def minutes_of(problem: Problem) -> float:
    """What the problem would take if it were the only one."""
    return float(MINUTES[problem.category][list(Severity).index(problem.severity)])


def _tree(problems: Iterable[tuple[Problem, float]]) -> _Node:
    root = _Node("")
    for problem, minutes in problems:
        node = root
        node.minutes += minutes
        for part in (*problem.path.split("/", DEEPEST)[:-1], problem.path.rsplit("/", 1)[-1] + "\0" + problem.key):
            node = node.children.setdefault(part, _Node(part))
            node.minutes += minutes
        node.problems.append((problem, minutes))
    return root


def _cut(node: _Node, place: str, most: float, least: float) -> Iterator[_Piece]:
    """Pieces of at most ``most`` minutes: whole subtrees from ``least`` on, the rest together."""
    if node.minutes <= most:
        yield _Piece(place, node.everything())
        return
    if node.problems:
        yield from _parts(place, [[each] for each in node.problems], most)
        return
    left = []
    for name in sorted(node.children):
        child = node.children[name]
        if child.minutes >= least:
            yield from _cut(child, f"{place}/{name}", most, least)
        else:
            left.append(child.everything())
    yield from _parts(place, left, most)


def _parts(place: str, pieces: Iterable[list[tuple[Problem, float]]], most: float) -> Iterator[_Piece]:
    """Neighbours together until they would be too much; only parts beyond the first carry a number."""
    part: list[tuple[Problem, float]] = []
    number, minutes = 1, 0.0
    for piece in pieces:
        more = sum(each for _, each in piece)
        if part and minutes + more > most:
            yield _Piece(_numbered(place, number), part)
            part, number, minutes = [], number + 1, 0.0
        part, minutes = part + piece, minutes + more
    if part:
        yield _Piece(_numbered(place, number), part)


def _numbered(place: str, number: int) -> str:
    """A part's name: the rest of a directory is another cause than the directory as a whole."""
    return f"{place}\0{number}"
