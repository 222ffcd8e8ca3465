"""What the differ answers: repositories, and requests for scans."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from libs.events.envelope import Model, Ticks, Token
from libs.questions.envelope import Question


class Repository(Model):
    """A registered repository: one address and one branch. Credentials never show."""

    id: Token
    location: str
    branch: str | None = None
    enabled: bool = True
    interval_seconds: int | None = Field(
        None, description="Scan again this long after the last request; none: only when asked."
    )
    budget_ticks: Ticks | None = None
    engine: Literal["static", "llm", "auto"] = "auto"
    parallel: int | None = None
    last_scan_id: Token | None = None
    last_commit: str | None = None
    active_scan_id: Token | None = None
    registered_at: datetime | None = None


class Repositories(Model):
    repositories: list[Repository]


class RegisterRepository(Question[Repository]):
    """Register a location and branch, or find it: the same two are the same repository; what is given is set."""

    location: str = Field(min_length=1, max_length=4096)
    branch: str | None = Field(None, max_length=1024)
    interval_seconds: int | None = Field(None, ge=60)
    budget_ticks: Ticks | None = Field(None, ge=0)
    engine: Literal["static", "llm", "auto"] = "auto"


class ListRepositories(Question[Repositories]):
    """Every registered repository, by location."""


class ChangeRepository(Question[Repository]):
    """Change settings; fields that are not given stay."""

    repository_id: Token
    enabled: bool | None = None
    interval_seconds: int | None = Field(None, ge=0, description="0 switches the schedule off.")
    budget_ticks: Ticks | None = Field(None, ge=0)
    engine: Literal["static", "llm", "auto"] | None = None


class RemoveRepository(Question[Repository]):
    """Forget the repository and its mirror; facts that were published stay."""

    repository_id: Token


class ScanTicket(Model):
    """Which scan answers the request. ``joined``: it was already under way."""

    repository_id: Token
    scan_id: Token
    joined: bool = False
    state: Literal["requested", "listing", "active", "halted", "completed", "failed"] = Field(
        "requested", description="``halted``: listed, and waiting for a budget or a person's word."
    )
    problem: str = Field("", description="Why the listing failed, where it did.")


class RequestScan(Question[ScanTicket]):
    """Ask for a scan. While one is active on the repository, its ticket is returned instead."""

    repository_id: Token
    base: str | None = Field(None, max_length=1024)
    full: bool = False
    engine: Literal["static", "llm", "auto"] | None = None
    budget_ticks: Ticks | None = Field(None, ge=0)
    parallel: int | None = Field(None, ge=1, le=4096)
    requested_by: str = Field("unknown", max_length=200)


class GetScanTicket(Question[ScanTicket]):
    """How the differ sees a scan: still to be listed, active, done, or failed and why."""

    scan_id: Token
