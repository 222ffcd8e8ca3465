"""Registered repositories, and asking for a scan of one."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from libs.events.envelope import Model, Ticks
from libs.questions.differ import (
    ChangeRepository,
    ListRepositories,
    RegisterRepository,
    RemoveRepository,
    Repositories,
    Repository,
    RequestScan,
    ScanTicket,
)
from services.console.http.bus import OnBus

router = APIRouter(prefix="/repositories", tags=["repositories"])


class Change(Model):
    """What to change; what is left out stays."""

    enabled: bool | None = None
    interval_seconds: int | None = Field(None, ge=0)
    budget_ticks: Ticks | None = Field(None, ge=0)
    engine: Literal["static", "llm", "auto"] | None = None


class ScanWish(Model):
    """How to scan; what is left out follows the repository's settings."""

    base: str | None = Field(None, max_length=1024)
    full: bool = False
    engine: Literal["static", "llm", "auto"] | None = None
    budget_ticks: Ticks | None = Field(None, ge=0)
    parallel: int | None = Field(None, ge=1, le=4096)


@router.get("")
async def list_repositories(bus: OnBus) -> Repositories:
    return await bus.ask(ListRepositories())


@router.post("")
async def register_repository(wish: RegisterRepository, bus: OnBus) -> Repository:
    return await bus.ask(wish, timeout=60)


@router.patch("/{repository_id}")
async def change_repository(repository_id: str, change: Change, bus: OnBus) -> Repository:
    return await bus.ask(ChangeRepository(repository_id=repository_id, **change.model_dump(exclude_none=True)))


@router.delete("/{repository_id}")
async def remove_repository(repository_id: str, bus: OnBus) -> Repository:
    return await bus.ask(RemoveRepository(repository_id=repository_id), timeout=60)


@router.post("/{repository_id}/scans", status_code=202)
async def request_scan(repository_id: str, wish: ScanWish, bus: OnBus) -> ScanTicket:
    question = RequestScan(repository_id=repository_id, requested_by="api", **wish.model_dump(exclude_none=True))
    return await bus.ask(question, timeout=30)
