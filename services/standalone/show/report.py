"""What a scan came to: a page for a person, one document for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from libs.events.analyzer import SEVERITY_ORDER, Severity
from libs.events.reviewer import Concern, ReviewCompleted, Task
from libs.questions.ledger import Progress
from libs.questions.reviewer import StandingFinding
from services.standalone.show.money import dollars, usd
from services.standalone.show.safe import safe

MOST_TASKS = 12
"""A page of tasks; ``strandline tasks`` has them all."""
MOST_CONCERNS = 5
INDENT = 14
"""Columns before a task's title: its number and priority."""
LEAST_ROOM = 24

SEVERITY_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


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
    console.print()
    console.print(_heading(report.progress))
    _hang(console, Text(), Text(safe(report.review.summary)))
    console.print()
    _print_concerns(console, report.review.concerns[:MOST_CONCERNS])
    print_tasks(console, report.tasks[:most])
    left = len(report.tasks) - most
    if left > 0:
        more = Text(f"   … and {left:,} more: ")
        console.print(more.append(f"strandline tasks {report.progress.repository_id}", style="bold"))
    console.print()
    _hang(console, Text(), Text(_coverage(report.progress), style="dim"))


def print_tasks(console: Console, tasks: Sequence[Task]) -> None:
    """Tasks in the order in which they are best done."""
    if not tasks:
        console.print("No tasks: nothing was found that needs work.")
    numbers = {task.id: number for number, task in enumerate(tasks, start=1)}
    for number, task in enumerate(tasks, start=1):
        after = sorted(numbers[other] for other in task.depends_on if other in numbers)
        first = Text(f"{number:3}. ", style="bold").append(f"{task.priority:9}", style=SEVERITY_COLOURS[task.priority])
        _hang(console, first, Text(safe(task.title), style="bold"))
        if why := _why(task):
            _hang(console, Text(" " * INDENT), why, lines=1)
        _hang(console, Text(" " * INDENT), _details(task, after))


def _heading(progress: Progress) -> Text:
    """Which repository, and at which commit."""
    commit = (progress.commit or "")[:12]
    parts = [safe(progress.repository or progress.repository_id), safe(progress.branch or ""), commit]
    return Text(" · ".join(part for part in parts if part), style="bold")


def _print_concerns(console: Console, concerns: Sequence[Concern]) -> None:
    if not concerns:
        return
    console.print(Text("Seen across the project", style="bold"))
    for concern in concerns:
        _hang(console, Text(f"{concern.findings:5,} × "), Text(safe(concern.title)))
    console.print()


def _why(task: Task) -> Text | None:
    """What is wrong, where the title has no room for it: the first line of the description."""
    line = safe(task.description.split("\n", 1)[0]).rstrip(".")
    told = not line or line.casefold() in safe(task.title).casefold()
    return None if told else Text(line, style="dim")


def _details(task: Task, after: Sequence[int]) -> Text:
    count = len(task.files) + task.files_cut
    shown = ", ".join(safe(path) for path in task.files[:2]) + (f" and {count - 2} more" if count > 2 else "")
    parts = [
        f"{task.hours:g} h",
        task.category.value,
        shown if count > 1 else "",
        f"after {', '.join(map(str, after))}" if after else "",
        task.id,
    ]
    return Text(" · ".join(part for part in parts if part), style="dim")


def _hang(console: Console, first: Text, body: Text, *, lines: int | None = None) -> None:
    """The body beside what comes first, its further lines below its beginning; cut after so many ``lines``."""
    room = max(console.width - first.cell_len, LEAST_ROOM)
    wrapped = list(body.wrap(console, room))
    if lines is not None and len(wrapped) > lines:
        body.truncate(room * lines, overflow="ellipsis")
        wrapped = list(body.wrap(console, room))[:lines]
    for line in wrapped:
        line.rstrip()
        console.print(first + line, soft_wrap=True)
        first = Text(" " * first.cell_len)


def worst_at_or_above(findings: Sequence[StandingFinding], severity: Severity) -> list[StandingFinding]:
    """The findings that fail a gate at this severity."""
    barred = set(SEVERITY_ORDER[: SEVERITY_ORDER.index(severity) + 1])
    return [standing for standing in findings if standing.finding.severity in barred]


def _coverage(progress: Progress) -> str:
    coverage = progress.coverage
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(coverage.skipped.items()))
    parts = [
        f"{coverage.total:,} file{'' if coverage.total == 1 else 's'} listed"
        + (f" ({safe(progress.mode_reason)})" if progress.mode_reason else ""),
        f"{coverage.analysed:,} analysed" if coverage.analysed else "",
        f"{coverage.reused:,} reused" if coverage.reused else "",
        f"{sum(coverage.skipped.values()):,} skipped ({skipped})" if skipped else "",
        f"{coverage.failed:,} failed" if coverage.failed else "",
        f"{coverage.unreached:,} unreached" if coverage.unreached else "",
        f"cost {dollars(progress.settled_ticks)}",
        f"saved {dollars(progress.saved_ticks)}" if progress.saved_ticks else "",
    ]
    if progress.started_at and progress.completed_at:
        parts.append(f"{(progress.completed_at - progress.started_at).total_seconds():.1f} s")
    return " · ".join(part for part in (*parts, progress.scan_id) if part)


def _time(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
