"""Where a task stands in the list, term by term: the priority decides, the rest orders within it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log2

from libs.events.analyzer import Category, Severity
from libs.events.reviewer import Priority, Term
from services.reviewer.domain.priority import PRIORITIES, Role, priority_of
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem

PRIORITY_POINTS = {Priority.CRITICAL: 90.0, Priority.HIGH: 60.0, Priority.MEDIUM: 30.0, Priority.LOW: 0.0}
"""30 apart: all other terms together reach from -2.8 to 26, so they never carry a task past a higher priority."""

SEVERITY_POINTS = {Severity.CRITICAL: 8.0, Severity.HIGH: 6.0, Severity.MEDIUM: 3.0, Severity.LOW: 0.0}
CATEGORY_POINTS = {
    Category.SECURITY: 5.0,
    Category.CORRECTNESS: 4.0,
    Category.ERROR_HANDLING: 3.0,
    Category.PERFORMANCE: 2.0,
    Category.TESTING: 1.0,
    Category.REFACTORING: 1.0,
    Category.DOCUMENTATION: 0.0,
}
MOST_SPREAD, MOST_COMPLEXITY, MOST_IMPORTED, DOUBT = 5.0, 4.0, 4.0, 4.0


def priority_of_all(problems: Iterable[Problem], role: Role) -> Priority:
    """The most urgent of them decides."""
    return min((priority_of(problem, role) for problem in problems), key=PRIORITIES.index)


def terms(
    problems: Sequence[Problem], role: Role, *, complexity: Mapping[str, int], imported: Mapping[str, int]
) -> list[Term]:
    """What a group's rank is made of; terms that add nothing are left out."""
    worst = min((problem.severity for problem in problems), key=SEVERITY_RANK.__getitem__)
    paths = {problem.path for problem in problems}
    sure = sum(problem.confidence for problem in problems) / len(problems)
    return assemble(
        priority_of_all(problems, role),
        severity=SEVERITY_POINTS[worst],
        category=CATEGORY_POINTS[problems[0].category],
        places=len(problems),
        complexity=max(complexity.get(path, 0) for path in paths),
        imported=max(imported.get(path, 0) for path in paths),
        sure=sure,
    )


def assemble(
    priority: Priority,
    *,
    severity: float,
    category: float,
    places: int,
    complexity: int,
    imported: int,
    sure: float = 1.0,
) -> list[Term]:
    points = {
        f"priority {priority}": PRIORITY_POINTS[priority],
        "severity": severity,
        "category": category,
        f"spread ({places} place{'s' if places > 1 else ''})": min(MOST_SPREAD, log2(places)),
        f"complex files (up to {complexity} of 100)": MOST_COMPLEXITY * complexity / 100,
        f"imported by {imported} file{'s' if imported > 1 else ''}": min(MOST_IMPORTED, log2(1 + imported) / 2),
        f"confidence {sure:.0%}": DOUBT * (sure - 1),
    }
    return [Term(name=name, points=round(value, 2)) for name, value in points.items() if round(value, 2)]


def rank_of(ranking: Iterable[Term]) -> float:
    return round(sum(term.points for term in ranking), 2)
