"""A repository as it stands: what a review is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libs.events.analyzer import SEVERITY_ORDER, Category, Severity, Shape

SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SEVERITY_ORDER)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A standing finding with its place."""

    key: str
    path: str
    fingerprint: str
    rule: str
    category: Category
    severity: Severity
    title: str
    description: str = ""
    suggestion: str = ""
    line: int = 1
    symbol: str = ""
    confidence: float = 1.0

    @property
    def id(self) -> str:
        return f"{self.key}-{self.fingerprint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that has an analysis."""

    key: str
    path: str
    language: str = "text"
    lines: int = 0
    complexity: int = 0
    findings_cut: int = 0
    imports: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files and problems of one repository, each sorted, so that nothing depends on how they arrived."""

    repository_id: str
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]


def snapshot(repository_id: str, files: Iterable[SourceFile], problems: Iterable[Problem]) -> Snapshot:
    """The only maker of snapshots: sorts."""
    return Snapshot(
        repository_id,
        tuple(sorted(files, key=lambda file: (file.path, file.key))),
        tuple(sorted(problems, key=lambda problem: (problem.path, problem.line, problem.rule, problem.id))),
    )
