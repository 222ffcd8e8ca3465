"""Which task comes before which, and the one order that follows: urgent first, what it needs right before it.

A task waits for another where both touch the same ground: mending comes before rebuilding the same files, tests come
before rebuilding what they cover, and work in an imported module before the same kind of work in its importers.
No cycles: where tasks want each other, the higher ranked one goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from libs.events.analyzer import Category
from libs.events.reviewer import Priority
from services.reviewer.domain.priority import PRIORITIES, Role

MOST_DEPENDENCIES = 5
WIDEST = 8
"""A task over more files than this has no place in the import order."""

LEAST_OVERLAP = 0.25
LEAST_IMPORTING = 0.5
"""Half of a task's files have to import the other's, or waiting for it would cost more than it saves."""
_MENDING = frozenset((Category.SECURITY, Category.CORRECTNESS, Category.ERROR_HANDLING))

Edges = Mapping[str, Mapping[str, int]]
"""Task → the tasks it wants before it → how strongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the order needs to know of a task."""

    id: str
    category: Category
    priority: Priority
    role: Role
    paths: frozenset[str]
    cause: str = ""
    """The one rule it is about; empty where there are several or none: such work has no place in the import order."""


def wishes(works: Sequence[Work], imports: Mapping[str, frozenset[str]]) -> dict[str, dict[str, int]]:
    """Every edge that has a reason, cycles included; the weight counts the files it rests on."""
    touching: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        for path in work.paths:
            touching[path].append(work)
    wanted: dict[str, dict[str, int]] = {}
    for work in works:
        found = {**_by_imports(work, touching, imports), **_by_kind(work, touching, imports)}
        if found:
            wanted[work.id] = found
    return wanted


def _by_imports(
    work: Work, touching: Mapping[str, Sequence[Work]], imports: Mapping[str, frozenset[str]]
) -> dict[str, int]:
    if len(work.paths) > WIDEST:
        return {}
    weights: dict[str, int] = defaultdict(int)
    for own in work.paths:
        imported = imports.get(own, frozenset()) - work.paths
        others = {other.id for path in imported for other in touching.get(path, ()) if _same_kind(work, other)}
        for other in others - {work.id}:
            weights[other] += 1
    return {other: weight for other, weight in weights.items() if weight >= LEAST_IMPORTING * len(work.paths)}


def _same_kind(work: Work, other: Work) -> bool:
    rebuilding = work.category is other.category is Category.REFACTORING
    return (
        bool(work.cause and other.cause)
        and (rebuilding or work.cause == other.cause)
        and other.role == work.role
        and len(other.paths) <= WIDEST
        and not _less_urgent(other, work)
    )


def _by_kind(
    work: Work, touching: Mapping[str, Sequence[Work]], imports: Mapping[str, frozenset[str]]
) -> dict[str, int]:
    if work.category is not Category.REFACTORING:
        return {}
    shared: dict[str, int] = defaultdict(int)
    others: dict[str, Work] = {}
    for path in work.paths:
        for other in touching.get(path, ()):
            if other.category in _MENDING or other.category is Category.TESTING:
                others[other.id] = other
                shared[other.id] += 1
    least = LEAST_OVERLAP * len(work.paths)
    return {other: count for other, count in shared.items() if count >= least and not _less_urgent(others[other], work)}


def _less_urgent(other: Work, work: Work) -> bool:
    return PRIORITIES.index(other.priority) > PRIORITIES.index(work.priority)


def acyclic(wanted: Edges, rank: Mapping[str, float]) -> dict[str, dict[str, int]]:
    """The wishes without cycles: among tasks that want each other only those for a higher ranked task are kept."""
    component = {task: number for number, group in enumerate(_components(wanted)) for task in group}

    def kept(task: str, other: str) -> bool:
        return component[task] != component[other] or (-rank[other], other) < (-rank[task], task)

    return {
        task: {other: weight for other, weight in others.items() if other != task and kept(task, other)}
        for task, others in wanted.items()
    }


def _components(wanted: Edges) -> list[list[str]]:
    """Strongly connected components (Tarjan), without recursion: a chain may be as long as the list of tasks."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    stacked: set[str] = set()
    components: list[list[str]] = []
    for start in sorted({*wanted, *(other for others in wanted.values() for other in others)}):
        if start in index:
            continue
        visit = [(start, iter(sorted(wanted.get(start, ()))))]
        index[start] = low[start] = len(index)
        stack.append(start)
        stacked.add(start)
        while visit:
            task, rest = visit[-1]
            following = next(rest, None)
            if following is None:
                visit.pop()
                if visit:
                    low[visit[-1][0]] = min(low[visit[-1][0]], low[task])
                if low[task] == index[task]:
                    components.append(_unstack(stack, stacked, task))
            elif following not in index:
                index[following] = low[following] = len(index)
                stack.append(following)
                stacked.add(following)
                visit.append((following, iter(sorted(wanted.get(following, ())))))
            elif following in stacked:
                low[task] = min(low[task], index[following])
    return components


def _unstack(stack: list[str], stacked: set[str], until: str) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != until:
        group.append(stack.pop())
        stacked.discard(group[-1])
    return group


def reduced(edges: Edges, order: Sequence[str], most: int = MOST_DEPENDENCIES) -> dict[str, list[str]]:
    """Without what follows from other edges, and of the rest the strongest; ``order`` has dependencies first."""
    number = {task: place for place, task in enumerate(order)}
    before: dict[str, int] = {}
    kept: dict[str, list[str]] = {}
    for task in order:
        reached, direct = 0, []
        for other in sorted(edges.get(task, ()), key=lambda other: -number[other]):
            if not reached >> number[other] & 1:
                direct.append(other)
                reached |= before[other] | 1 << number[other]
        before[task] = reached
        strongest = sorted(direct, key=lambda other: (-edges[task][other], number[other]))[:most]
        kept[task] = sorted(strongest, key=number.__getitem__)
    return kept


def ordered(ids: Iterable[str], edges: Mapping[str, Iterable[str]], rank: Mapping[str, float]) -> list[str]:
    """By rank, but each task right after those of its dependencies that have not come yet. ``edges`` have no cycle."""

    def urgent(tasks: Iterable[str]) -> list[str]:
        return sorted(tasks, key=lambda task: (-rank[task], task))

    done: dict[str, None] = {}
    for first in urgent(ids):
        waiting = [first]
        while waiting:
            missing = [other for other in urgent(edges.get(waiting[-1], ())) if other not in done]
            if missing:
                waiting.append(missing[0])
            else:
                done[waiting.pop()] = None
    return list(done)
