"""How urgent a finding is: what it is, how bad it is, and whether users or only developers run the code."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from libs.events.analyzer import Category
from libs.events.reviewer import Priority
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem

Role = Literal["product", "tests", "periphery"]

PRIORITIES = tuple(Priority)
"""From the most urgent on."""

C, H, M, L = PRIORITIES
TABLE: dict[Category, tuple[Priority, Priority, Priority, Priority]] = {
    Category.SECURITY: (C, C, H, M),
    Category.CORRECTNESS: (C, H, H, M),
    Category.ERROR_HANDLING: (C, H, M, L),
    Category.PERFORMANCE: (H, H, M, L),
    Category.TESTING: (M, M, M, L),
    Category.REFACTORING: (M, M, M, L),
    Category.DOCUMENTATION: (M, L, L, L),
}
"""By severity, the worst first. Nothing that only makes code nicer is ever more than medium."""

_TESTS = re.compile(
    r"(^|/)(tests?|testing|__tests__|spec|specs|fixtures|testdata|test_data|e2e|idlelib/idle_test)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|[^/]*[._](test|spec)|conftest|[^/]*Tests?)\.[a-z]+$"
)
_PERIPHERY = re.compile(
    r"(^|/)(docs?|examples?|samples?|demos?|turtledemo|benchmarks?|scripts?|tools?|contrib|vendor|_vendor|third_party)/"
)
_STEPS_DOWN: dict[Role, int] = {"product": 0, "periphery": 1, "tests": 1}
SURE_ENOUGH = (0.3, 0.5, 0.75, 0.75)
"""Below this confidence, by severity, a finding is a question rather than a fact: one step less urgent."""


@lru_cache(maxsize=8192)
def role_of(path: str) -> Role:
    """Whether users run it, or only those who build and test it; told from the path alone."""
    if _TESTS.search(path):
        return "tests"
    return "periphery" if _PERIPHERY.search(path) else "product"


def priority_of(problem: Problem, role: Role) -> Priority:
    """The table's answer, one step down for what users never run, and one for what may well be no problem."""
    severity = SEVERITY_RANK[problem.severity]
    level = PRIORITIES.index(TABLE[problem.category][severity]) + _STEPS_DOWN[role]
    doubtful = problem.confidence < SURE_ENOUGH[severity]
    return PRIORITIES[min(level + doubtful, len(PRIORITIES) - 1)]
