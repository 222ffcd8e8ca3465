"""Scans and tasks for what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.events.analyzer import Category, Finding, Severity
from libs.events.ledger import Coverage
from libs.events.reviewer import Concern, Priority, ReviewCompleted, Task
from libs.questions.ledger import Progress
from libs.questions.reviewer import StandingFinding
from services.standalone.show.report import Report

MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_task(id: str, title: str, **more: Any) -> Task:
    fields = {"category": Category.SECURITY, "priority": Priority.HIGH, "effort": "small", "hours": 1.5, "rank": 1.0}
    return Task(id=id, title=title, **{**fields, **more})


def a_finding(severity: Severity, path: str = "a.py") -> StandingFinding:
    finding = Finding(
        rule="ruff/s306",
        category=Category.SECURITY,
        severity=severity,
        title="mktemp() can be raced",
        start_line=3,
        end_line=3,
        fingerprint="f" * 16,
    )
    key = "0" * 16
    return StandingFinding(
        id=f"{key}-{'f' * 16}", key=key, path=path, finding=finding, first_scan_id="s1", last_scan_id="s1"
    )


def a_report(*tasks: Task, coverage: Coverage | None = None, **more: Any) -> Report:
    progress = Progress(
        scan_id="s1",
        repository_id="shop-1",
        repository="/src/shop",
        branch="main",
        commit="c0ffee" * 6,
        state="completed",
        status="complete",
        coverage=coverage or Coverage(analysed=3, skipped={"binary": 1}, total=4),
        started_at=MOMENT,
        completed_at=MOMENT + timedelta(seconds=2.5),
        mode_reason="everything: the first scan",
    )
    concern = Concern(
        title="Bare except in 9 files",
        category=Category.SECURITY,
        severity=Severity.LOW,
        rule="r",
        findings=12,
        files=9,
    )
    review = ReviewCompleted(
        repository_id="shop-1", scan_id="s1", summary="Three files.", concerns=[concern], files=3, reviewed_at=MOMENT
    )
    findings = more.pop("findings", [a_finding(Severity.HIGH)])
    return Report(progress=progress, review=review, tasks=tasks, findings=findings)
