"""Tasks from groups and clusters: first what decides their place in the list, in words only once they have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.events.analyzer import Category, Severity
from libs.events.reviewer import Priority, Task, Term
from services.reviewer.domain.dependencies import Work
from services.reviewer.domain.duplicates import Cluster
from services.reviewer.domain.grouping import MOST_MINUTES, Group, common_directory
from services.reviewer.domain.identity import task_id
from services.reviewer.domain.ranking import CATEGORY_POINTS, SEVERITY_POINTS, assemble, priority_of_all, rank_of, terms
from services.reviewer.domain.wording import copies_description, copies_title, description_of, title_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A task before it is written: of thousands only the first hundreds ever are."""

    work: Work
    ranking: list[Term]
    about: Group | Cluster
    line: int = 0

    @property
    def rank(self) -> float:
        return rank_of(self.ranking)

    @property
    def findings(self) -> int:
        return len(self.about.problems) if isinstance(self.about, Group) else 0


def draft_group(repository_id: str, about: Group, complexity: Mapping[str, int], imported: Mapping[str, int]) -> Draft:
    rules = {problem.rule for problem in about.problems}
    work = Work(
        id=task_id(repository_id, about.cause),
        category=about.problems[0].category,
        priority=priority_of_all(about.problems, about.role),
        role=about.role,
        paths=frozenset(problem.path for problem in about.problems),
        cause=rules.pop() if len(rules) == 1 else "",
    )
    ranking = terms(about.problems, about.role, complexity=complexity, imported=imported)
    return Draft(work=work, ranking=ranking, about=about, line=about.problems[0].line)


def draft_copies(
    repository_id: str, about: Cluster, complexity: Mapping[str, int], imported: Mapping[str, int]
) -> Draft:
    product = about.role == "product"
    work = Work(
        id=task_id(repository_id, about.cause),
        category=Category.REFACTORING,
        priority=Priority.MEDIUM if product else Priority.LOW,
        role=about.role,
        paths=frozenset(about.paths),
    )
    ranking = assemble(
        work.priority,
        severity=SEVERITY_POINTS[Severity.MEDIUM if product else Severity.LOW],
        category=CATEGORY_POINTS[Category.REFACTORING],
        places=sum(len(copy) for copy in about.copies),
        complexity=max(complexity.get(path, 0) for path in about.paths),
        imported=max(imported.get(path, 0) for path in about.paths),
    )
    return Draft(work=work, ranking=ranking, about=about)


def write(draft: Draft, depends_on: list[str]) -> Planned:
    """The task in words, with what it depends on."""
    if isinstance(draft.about, Group):
        return _write_group(draft, draft.about, depends_on)
    return _write_copies(draft, draft.about, depends_on)


def _write_group(draft: Draft, about: Group, depends_on: list[str]) -> Planned:
    count = Counter(problem.path for problem in about.problems)
    files = _few_paths(sorted(count, key=lambda path: (-count[path], path)))
    members = tuple(sorted(problem.id for problem in about.problems))
    task = Task(
        id=draft.work.id,
        title=title_of(about),
        description=description_of(about),
        category=draft.work.category,
        priority=draft.work.priority,
        effort=_effort(about.minutes),
        hours=_hours(about.minutes),
        rank=draft.rank,
        ranking=draft.ranking,
        files=files,
        files_cut=len(count) - len(files),
        findings=list(members[:MOST_TASK_FINDINGS]),
        findings_cut=max(0, len(members) - MOST_TASK_FINDINGS),
        depends_on=depends_on,
        directory=about.directory,
    )
    return Planned(task, members)


def _write_copies(draft: Draft, about: Cluster, depends_on: list[str]) -> Planned:
    minutes = min(MOST_COPY_MINUTES, max(LEAST_COPY_MINUTES, MINUTES_A_COPIED_LINE * about.lines))
    files = _few_paths(about.paths)
    task = Task(
        id=draft.work.id,
        title=copies_title(about),
        description=copies_description(about),
        category=draft.work.category,
        priority=draft.work.priority,
        effort=_effort(minutes),
        hours=_hours(minutes),
        rank=draft.rank,
        ranking=draft.ranking,
        files=files,
        files_cut=len(about.paths) - len(files),
        depends_on=depends_on,
        directory=common_directory(about.paths),
    )
    return Planned(task, ())


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
