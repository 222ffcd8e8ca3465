"""What the reviewer tells: how findings changed, the project's review, and its tasks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from libs.events.analyzer import Category, LongText, Severity, ShortText
from libs.events.envelope import Count, Fact, FileKey, Model, PathText, Token

TaskState = Literal["open", "in_progress", "done", "dismissed"]


class Priority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Term(Model):
    """One term of a task's rank: what it is and what it adds."""

    name: ShortText
    points: float


class Task(Model):
    """One to four hours of work, made from findings that have one cause."""

    id: Token
    title: ShortText = Field(description="What to do.")
    description: LongText = ""
    category: Category
    priority: Priority
    effort: Literal["small", "medium", "large"]
    hours: Annotated[float, Field(gt=0, le=8)]
    rank: float = Field(description="The sum of ``ranking``; higher comes first.")
    ranking: list[Term] = Field(default_factory=list)
    files: list[PathText] = Field(default_factory=list)
    files_cut: Count = 0
    findings: list[ShortText] = Field(
        default_factory=list, description="Ids of its findings, ``<file key>-<fingerprint>``."
    )
    findings_cut: Count = 0
    depends_on: list[Token] = Field(default_factory=list, description="Ids of tasks that come before it.")
    directory: str = ""
    state: TaskState = "open"


class Concern(Model):
    """A pattern seen in many files."""

    title: ShortText
    description: LongText = ""
    category: Category
    severity: Severity
    rule: str
    findings: Count
    files: Count
    examples: list[PathText] = Field(default_factory=list)


class HotSpot(Model):
    """A file where trouble gathers: complex, and with many findings."""

    path: PathText
    complexity: int
    findings: Count
    score: float


class FindingsChanged(Fact):
    """How the findings of one file changed. Nothing is told where nothing changed."""

    type_name: ClassVar[str] = "strandline.findings.changed.v1"
    token: ClassVar[str] = "findings.changed"
    source: ClassVar[str] = "reviewer"

    key: FileKey
    path: PathText
    opened: list[str] = Field(default_factory=list, description="Fingerprints.")
    resolved: list[str] = Field(default_factory=list)
    reopened: list[str] = Field(default_factory=list)

    def subject_key(self) -> str:
        return self.key


class ReviewCompleted(Fact):
    """The project's review after a scan: what stands in the repository now, and what to do about it."""

    type_name: ClassVar[str] = "strandline.review.completed.v1"
    token: ClassVar[str] = "reviewed"
    source: ClassVar[str] = "reviewer"

    method: Literal["deterministic", "model", "fallback"] = "deterministic"
    summary: LongText
    concerns: list[Concern] = Field(default_factory=list)
    hot_spots: list[HotSpot] = Field(default_factory=list)
    files: Count = Field(description="Files whose present analysis the review stands on.")
    findings: dict[Severity, Count] = Field(default_factory=dict)
    unplanned: dict[str, Count] = Field(default_factory=dict, description="Findings in no task, by reason.")
    tasks: Count = 0
    partial: bool = Field(False, description="Some listed files have no analysis.")
    reviewed_at: datetime


class TaskCreated(Fact):
    """A new piece of work."""

    type_name: ClassVar[str] = "strandline.task.created.v1"
    token: ClassVar[str] = "task.created"
    source: ClassVar[str] = "reviewer"

    task: Task

    def subject_key(self) -> str:
        return self.task.id


class TaskChanged(Fact):
    """A task has another state or content; ``number`` counts its changes within the scan."""

    type_name: ClassVar[str] = "strandline.task.changed.v1"
    token: ClassVar[str] = "task.changed"
    source: ClassVar[str] = "reviewer"

    task: Task
    number: Annotated[int, Field(ge=1)] = 1
    reason: ShortText = ""

    def subject_key(self) -> str:
        return f"{self.task.id}.{self.number}"
