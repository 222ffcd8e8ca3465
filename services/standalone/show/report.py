"""What a scan came to: a page for a person, one document for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from libs.events.analyzer import SEVERITY_ORDER, Severity
from libs.events.reviewer import ReviewCompleted, Task
from libs.questions.ledger import Progress
from libs.questions.reviewer import StandingFinding
from services.standalone.show.money import dollars, usd
from services.standalone.show.safe import safe

MOST_TASKS = 12
"""A page of tasks; ``strandline tasks`` has them all."""

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything there is to say about one scan."""

    progress: Progress
    review: ReviewCompleted
    tasks: Sequence[Task]
    findings: Sequence[StandingFinding]


def as_document(report: Report) -> dict[str, Any]:
    """The one JSON document of ``strandline scan --json``."""
    progress = report.progress
    return {
        "scan_id": progress.scan_id,
        "repository_id": progress.repository_id,
        "repository": progress.repository,
        "branch": progress.branch,
        "commit": progress.commit,
        "base": progress.base,
        "engine": progress.engine,
        "status": progress.status,
        "started_at": _time(progress.started_at),
        "completed_at": _time(progress.completed_at),
        "coverage": progress.coverage.model_dump(mode="json"),
        "cost": {
            "ticks": progress.settled_ticks,
            "usd": usd(progress.settled_ticks),
            "presumed_ticks": progress.presumed_ticks,
            "saved_ticks": progress.saved_ticks,
        },
        "findings": [finding_document(finding) for finding in report.findings],
        "tasks": [task.model_dump(mode="json") for task in report.tasks],
        "summary": report.review.summary,
        "cross_cutting_concerns": [concern.model_dump(mode="json") for concern in report.review.concerns],
        "hot_spots": [spot.model_dump(mode="json") for spot in report.review.hot_spots],
        "unplanned": report.review.unplanned,
        "warnings": progress.warnings,
    }


def finding_document(standing: StandingFinding) -> dict[str, Any]:
    """A finding with its place, flat."""
    return {
        "id": standing.id,
        "path": standing.path,
        **standing.finding.model_dump(mode="json"),
        "engine": standing.engine,
        "state": standing.state,
        "first_scan_id": standing.first_scan_id,
        "last_scan_id": standing.last_scan_id,
    }


def print_report(console: Console, report: Report, *, most: int = MOST_TASKS) -> None:
    """The page a person reads after a scan."""
    review = report.review
    console.print()
    console.print(Text(safe(review.summary)))
    if review.concerns:
        console.print("\n[bold]Seen across the project[/]")
        for concern in review.concerns[:5]:
            console.print(f"  {concern.findings} × {escape(safe(concern.title))} in {concern.files} files")
    console.print()
    print_tasks(console, report.tasks[:most])
    left = len(report.tasks) - most
    if left > 0:
        console.print(f"  … and {left} more: [bold]strandline tasks[/]")
    console.print(_coverage_line(report.progress), style="dim")


def print_tasks(console: Console, tasks: Sequence[Task]) -> None:
    """Tasks in the order in which they are best done."""
    if not tasks:
        console.print("No tasks: nothing was found that needs work.")
    numbers = {task.id: number for number, task in enumerate(tasks, start=1)}
    for number, task in enumerate(tasks, start=1):
        style = _COLOURS[task.priority]
        hours = f"{task.hours:g} h"
        console.print(f"[bold]{number:3}.[/] [{style}]{task.priority:8}[/] [bold]{escape(safe(task.title))}[/]")
        after = [str(numbers[other]) for other in task.depends_on if other in numbers]
        detail = f"{task.category} · {hours} · {_files(task)}" + (f" · after {', '.join(after)}" if after else "")
        console.print(Padding(f"[dim]{escape(detail)} · {task.id}[/]", (0, 0, 0, 14), expand=False))


def worst_at_or_above(findings: Sequence[StandingFinding], severity: Severity) -> list[StandingFinding]:
    """The findings that fail a gate at this severity."""
    barred = set(SEVERITY_ORDER[: SEVERITY_ORDER.index(severity) + 1])
    return [standing for standing in findings if standing.finding.severity in barred]


def _files(task: Task) -> str:
    count = len(task.files) + task.files_cut
    shown = ", ".join(safe(path) for path in task.files[:2])
    return shown if count <= 2 else f"{shown} and {count - 2} more"


def _coverage_line(progress: Progress) -> str:
    coverage = progress.coverage
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(coverage.skipped.items()))
    parts = [
        f"{coverage.total} files listed",
        f"{coverage.analysed} analysed",
        f"{coverage.reused} reused",
        f"{sum(coverage.skipped.values())} skipped" + (f" ({skipped})" if skipped else ""),
        f"{coverage.failed} failed",
        f"{coverage.unreached} unreached",
        f"cost {dollars(progress.settled_ticks)}",
    ]
    if progress.started_at and progress.completed_at:
        parts.append(f"{(progress.completed_at - progress.started_at).total_seconds():.1f} s")
    return "\n" + " · ".join(parts)


def _time(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
