"""What the reviewer answers: the review of a scan, the findings that stand, and the task queue."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from libs.events.analyzer import Category, Finding, Severity
from libs.events.envelope import Count, FileKey, Model, PathText, Token
from libs.events.reviewer import ReviewCompleted, Task, TaskState
from libs.questions.envelope import Question


class StandingFinding(Model):
    """A finding that stands in the repository now, with its place."""

    id: str = Field(description="``<file key>-<fingerprint>``")
    key: FileKey
    path: PathText
    finding: Finding
    engine: str = ""
    first_scan_id: Token
    last_scan_id: Token
    state: Literal["new", "persisting", "reopened", "resolved"] = "new"


class GetReview(Question[ReviewCompleted]):
    """The review of a scan. Refused with code ``not_yet`` while it is being made."""

    scan_id: Token


class ReviewAgain(Question[ReviewCompleted]):
    """Make the review of a completed scan again from what stands now."""

    scan_id: Token


class Tasks(Model):
    tasks: list[Task]
    total: Count
    cursor: str | None = Field(None, description="Ask again with it for the next page; none: this was the last.")


class ListTasks(Question[Tasks]):
    """Tasks of a repository by rank, the highest first."""

    repository_id: Token
    states: tuple[TaskState, ...] = ("open", "in_progress")
    limit: int = Field(100, ge=1, le=500)
    cursor: str | None = None


class Findings(Model):
    findings: list[StandingFinding]
    total: Count
    cursor: str | None = None


class ListFindings(Question[Findings]):
    """Findings that stand in a repository: the worst first, then by path and line."""

    repository_id: Token
    severities: list[Severity] = Field(default_factory=list)
    categories: list[Category] = Field(default_factory=list)
    path_prefix: str = ""
    limit: int = Field(100, ge=1, le=500)
    cursor: str | None = None
