"""What came of it: tasks, findings and money."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from libs.events.analyzer import Category, Severity
from libs.events.reviewer import TaskState
from libs.questions.ledger import CostReport, GetCost
from libs.questions.reviewer import Findings, ListFindings, ListTasks, Tasks
from services.console.http.bus import OnBus

router = APIRouter(tags=["results"])

Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/repositories/{repository_id}/tasks")
async def list_tasks(
    repository_id: str,
    bus: OnBus,
    state: Annotated[tuple[TaskState, ...], Query()] = ("open", "in_progress"),
    limit: Limit = 100,
    cursor: str | None = None,
) -> Tasks:
    return await bus.ask(ListTasks(repository_id=repository_id, states=state, limit=limit, cursor=cursor), timeout=30)


@router.get("/repositories/{repository_id}/findings")
async def list_findings(
    repository_id: str,
    bus: OnBus,
    severity: Annotated[list[Severity] | None, Query()] = None,
    category: Annotated[list[Category] | None, Query()] = None,
    path_prefix: str = "",
    limit: Limit = 100,
    cursor: str | None = None,
) -> Findings:
    question = ListFindings(
        repository_id=repository_id,
        severities=severity or [],
        categories=category or [],
        path_prefix=path_prefix,
        limit=limit,
        cursor=cursor,
    )
    return await bus.ask(question, timeout=30)


@router.get("/cost")
async def get_cost(
    bus: OnBus,
    by: Literal["day", "week", "month", "repository", "scan", "model", "stage", "file"] = "scan",
    repository_id: str | None = None,
    scan_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> CostReport:
    return await bus.ask(GetCost(by=by, repository_id=repository_id, scan_id=scan_id, limit=limit))
