"""The review of a repository as it stands: the same findings give the same plan, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from libs.events.analyzer import Category, Severity
from libs.events.envelope import MAX_FACT_BYTES
from libs.events.reviewer import Concern, HotSpot, Priority, ReviewCompleted, Task, Term
from services.reviewer.domain import dependencies
from services.reviewer.domain.duplicates import Cluster, clusters
from services.reviewer.domain.grouping import MOST_MINUTES, Group, common_directory, group
from services.reviewer.domain.identity import task_id
from services.reviewer.domain.imports import fan_in, import_graph
from services.reviewer.domain.priority import PRIORITIES, Role
from services.reviewer.domain.ranking import CATEGORY_POINTS, SEVERITY_POINTS, assemble, priority_of_all, rank_of, terms
from services.reviewer.domain.snapshot import Snapshot
from services.reviewer.domain.summary import concerns, counts, hot_spots, summary
from services.reviewer.domain.wording import MOST_TITLE, description_of, fit, listing, shorten, title_of

MOST_TASKS = 500
MOST_TASK_FILES = 100
MOST_TASK_FINDINGS = 300
MOST_PATH_BYTES = 128 * 1024
MINUTES_A_COPIED_LINE = 1.0
LEAST_COPY_MINUTES, MOST_COPY_MINUTES = 30.0, float(MOST_MINUTES)


@dataclass(frozen=True, slots=True)
class Planned:
    """A task with every finding that belongs to it, the published ones and those cut from the fact."""

    task: Task
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in the order in which to do them, and what is to be said of the whole."""

    tasks: tuple[Planned, ...]
    unplanned: Mapping[str, int]
    findings: Mapping[Severity, int]
    files: int
    concerns: tuple[Concern, ...]
    hot_spots: tuple[HotSpot, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """A task before it knows its place."""

    planned: Planned
    role: Role
    paths: frozenset[str]
    rule: str = ""
    line: int = 0


def make_plan(standing: Snapshot, *, most_tasks: int = MOST_TASKS, partial: bool = False) -> Plan:
    """The plan for what stands; what ranks below ``most_tasks`` is counted, not planned."""
    imports = import_graph(standing.files)
    groups, unplanned = group(standing.problems)
    drafts = _drafts(standing, groups, fan_in(imports))
    drafts.sort(key=lambda draft: (-draft.planned.task.rank, min(draft.paths), draft.line, draft.planned.task.id))
    beyond = sum(len(draft.planned.members) for draft in drafts[most_tasks:])
    if beyond:
        unplanned[f"beyond the {most_tasks} tasks limit"] = beyond
    tasks = _in_order(drafts[:most_tasks], imports)
    spots = hot_spots(standing)
    return Plan(
        tasks=tuple(tasks),
        unplanned=unplanned,
        findings=counts(standing.problems),
        files=len(standing.files),
        concerns=tuple(concerns(standing)),
        hot_spots=tuple(spots),
        summary=summary(standing, [planned.task for planned in tasks], spots, unplanned, partial=partial),
    )


def review_of(plan: Plan, *, repository_id: str, scan_id: str, partial: bool, reviewed_at: datetime) -> ReviewCompleted:
    """The fact that tells of the plan; examples go before it would be too large for a fact."""
    review = ReviewCompleted(
        repository_id=repository_id,
        scan_id=scan_id,
        summary=plan.summary,
        concerns=list(plan.concerns),
        hot_spots=list(plan.hot_spots),
        files=plan.files,
        findings=dict(plan.findings),
        unplanned=dict(plan.unplanned),
        tasks=len(plan.tasks),
        partial=partial,
        reviewed_at=reviewed_at,
    )
    if len(review.model_dump_json()) * 4 <= MAX_FACT_BYTES or len(review.model_dump_json().encode()) <= MAX_FACT_BYTES:
        return review
    bare = [concern.model_copy(update={"examples": []}) for concern in review.concerns]
    return review.model_copy(update={"concerns": bare})


def _drafts(standing: Snapshot, groups: Sequence[Group], imported: Mapping[str, int]) -> list[_Draft]:
    complexity = {file.path: file.complexity for file in standing.files}
    drafts = []
    for each in groups:
        ranking = terms(each.problems, each.role, complexity=complexity, imported=imported)
        paths = frozenset(problem.path for problem in each.problems)
        rules = {problem.rule for problem in each.problems}
        rule, line = rules.pop() if len(rules) == 1 else "", each.problems[0].line
        drafts.append(_Draft(_planned(standing.repository_id, each, ranking), each.role, paths, rule, line))
    for cluster in clusters(standing.files):
        ranking = _copies_ranking(cluster, complexity, imported)
        task = _copies_task(standing.repository_id, cluster, ranking)
        drafts.append(_Draft(Planned(task, ()), cluster.role, frozenset(cluster.paths)))
    return drafts


def _planned(repository_id: str, each: Group, ranking: list[Term]) -> Planned:
    paths = list(dict.fromkeys(problem.path for problem in each.problems))
    count = Counter(problem.path for problem in each.problems)
    files = _few_paths(sorted(paths, key=lambda path: (-count[path], path)))
    members = tuple(sorted(problem.id for problem in each.problems))
    task = Task(
        id=task_id(repository_id, each.cause),
        title=title_of(each),
        description=description_of(each),
        category=each.problems[0].category,
        priority=priority_of_all(each.problems, each.role),
        effort=_effort(each.minutes),
        hours=_hours(each.minutes),
        rank=rank_of(ranking),
        ranking=ranking,
        files=files,
        files_cut=len(paths) - len(files),
        findings=list(members[:MOST_TASK_FINDINGS]),
        findings_cut=max(0, len(members) - MOST_TASK_FINDINGS),
        directory=each.directory,
    )
    return Planned(task, members)


def _few_paths(paths: Sequence[str]) -> list[str]:
    room, few = MOST_PATH_BYTES, []
    for path in paths[:MOST_TASK_FILES]:
        room -= len(path.encode()) * 2
        if room < 0:
            break
        few.append(path)
    return few


def _effort(minutes: float) -> Literal["small", "medium", "large"]:
    return "small" if minutes <= 60 else "medium" if minutes <= 120 else "large"


def _hours(minutes: float) -> float:
    """Quarters of an hour, rounded up: nobody is done in less."""
    return max(0.25, -(-minutes // 15) / 4)


def _copies_ranking(cluster: Cluster, complexity: Mapping[str, int], imported: Mapping[str, int]) -> list[Term]:
    return assemble(
        _copies_priority(cluster),
        severity=SEVERITY_POINTS[Severity.MEDIUM if cluster.role == "product" else Severity.LOW],
        category=CATEGORY_POINTS[Category.REFACTORING],
        places=sum(len(copy) for copy in cluster.copies),
        complexity=max(complexity.get(path, 0) for path in cluster.paths),
        imported=max(imported.get(path, 0) for path in cluster.paths),
    )


def _copies_priority(cluster: Cluster) -> Priority:
    return PRIORITIES[2] if cluster.role == "product" else PRIORITIES[3]


def _copies_task(repository_id: str, cluster: Cluster, ranking: list[Term]) -> Task:
    minutes = min(MOST_COPY_MINUTES, max(LEAST_COPY_MINUTES, MINUTES_A_COPIED_LINE * cluster.lines))
    files = _few_paths(cluster.paths)
    return Task(
        id=task_id(repository_id, cluster.cause),
        title=_copies_title(cluster),
        description=_copies_description(cluster),
        category=Category.REFACTORING,
        priority=_copies_priority(cluster),
        effort=_effort(minutes),
        hours=_hours(minutes),
        rank=rank_of(ranking),
        ranking=ranking,
        files=files,
        files_cut=len(cluster.paths) - len(files),
        directory=common_directory(cluster.paths),
    )


def _copies_title(cluster: Cluster) -> str:
    symbol = cluster.copies[0][0][1].symbol.rsplit(".", 1)[-1]
    what = f"the copies of {symbol}" if len(cluster.copies) == 1 else f"{len(cluster.copies)} copied functions"
    paths = [shorten(path) for path in cluster.paths]
    if len(paths) == 1:
        place = f"within {paths[0]}"
    elif len(paths) == 2:
        place = f"in {paths[0]} and {paths[1]}"
    else:
        place = f"in {paths[0]} and {len(paths) - 1} other files"
    return fit(f"Unite {what} {place} ({cluster.lines} lines)", MOST_TITLE)


def _copies_description(cluster: Cluster) -> str:
    head = (
        "These functions differ in names and literals only. A bug mended in one copy stays in the others. "
        "To do: keep one, give it what differs as parameters, and call it from the other places; "
        f"about {cluster.lines} lines go.\n\nWhere:"
    )
    lines = [
        "- " + " = ".join(f"{shorten(path)}:{shape.start_line} {shape.symbol}".strip() for path, shape in copy[:8])
        for copy in cluster.copies
    ]
    return listing(head, lines)


def _in_order(drafts: Sequence[_Draft], imports: Mapping[str, frozenset[str]]) -> list[Planned]:
    """The drafts, which come the most urgent first, with their dependencies and each after those."""
    by_id = {draft.planned.task.id: draft for draft in drafts}
    works = [
        dependencies.Work(
            id=id,
            category=draft.planned.task.category,
            priority=draft.planned.task.priority,
            role=draft.role,
            paths=draft.paths,
            cause=draft.rule,
        )
        for id, draft in by_id.items()
    ]
    urgency = {id: float(-place) for place, id in enumerate(by_id)}
    edges = dependencies.acyclic(dependencies.wishes(works, imports), urgency)
    order = dependencies.ordered(urgency, edges, urgency)
    needs = dependencies.reduced(edges, order)
    return [
        Planned(planned.task.model_copy(update={"depends_on": needs[id]}), planned.members)
        for id, planned in ((id, by_id[id].planned) for id in order)
    ]
