"""What the ledger answers: progress, money, and a person's word on a running scan."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from libs.events.envelope import Count, FileKey, Model, PathText, Ticks, Token
from libs.events.ledger import Coverage
from libs.questions.envelope import Question

Outcome = Literal["analysed", "reused", "skipped", "failed"]
ScanState = Literal["requested", "running", "halted", "cancelled", "completed", "failed"]


class Progress(Model):
    """How far a scan has got, as the ledger has counted it."""

    scan_id: Token
    repository_id: Token
    repository: str = ""
    branch: str | None = None
    commit: str | None = None
    base: str | None = None
    mode_reason: str = ""
    engine: str = ""
    state: ScanState
    status: Literal["complete", "incomplete", "cancelled", "failed"] | None = None
    halt_reason: str = ""
    accounted: Count = Field(0, description="Listed files that have an outcome.")
    coverage: Coverage = Coverage()
    settled_ticks: Ticks = 0
    reserved_ticks: Ticks = Field(0, description="Reserved by calls that are under way.")
    presumed_ticks: Ticks = Field(0, description="Booked for attempts that never reported.")
    saved_ticks: Ticks = 0
    budget_ticks: Ticks | None = None
    tokens: Count = 0
    requested_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    warnings: list[str] = Field(default_factory=list)


class GetProgress(Question[Progress]):
    scan_id: Token


class Scans(Model):
    scans: list[Progress]


class ListScans(Question[Scans]):
    """Scans, newest first."""

    repository_id: Token | None = None
    active: bool = Field(False, description="Only those without their last outcome.")
    limit: int = Field(50, ge=1, le=500)


class AccountedFile(Model):
    """One counted outcome. ``ordinal`` counts from 1 in the order of counting; totals include this file."""

    ordinal: Count
    key: FileKey
    path: PathText
    outcome: Outcome
    reason: str = ""
    engine: str = ""
    cost_ticks: Ticks = 0
    tokens: Count = 0
    total_ticks: Ticks = 0


class AccountedFiles(Model):
    files: list[AccountedFile]


class ListAccounted(Question[AccountedFiles]):
    """The outcomes counted after an ordinal, in order."""

    scan_id: Token
    after: Count = 0
    limit: int = Field(500, ge=1, le=1000)
    outcomes: list[Outcome] = Field(default_factory=list, description="None: all.")


class PauseScan(Question[Progress]):
    scan_id: Token
    detail: str = Field("", max_length=500)


class ResumeScan(Question[Progress]):
    """Go on where it halted, with another budget where one is given."""

    scan_id: Token
    budget_ticks: Ticks | None = Field(None, ge=0)


class CancelScan(Question[Progress]):
    scan_id: Token
    detail: str = Field("", max_length=500)


class FinishScan(Question[Progress]):
    """Complete a scan as it is: what was not reached stays so, and the review is marked partial."""

    scan_id: Token


class Reservation(Model):
    """Money set aside for one attempt, or the reason it was not."""

    granted: bool
    reservation_id: str = ""
    reason: str = ""


class Reserve(Question[Reservation]):
    """Set aside the worst case of one attempt before it is made. Asking again for the same attempt changes nothing."""

    repository_id: Token
    scan_id: Token
    key: FileKey | None = Field(None, description="None for the review.")
    stage: Literal["analysis", "repair", "review"] = "analysis"
    attempt: int = Field(1, ge=1)
    ticks: Ticks = Field(ge=0)


class CostRow(Model):
    """Money of one group. ``presumed_ticks`` is part of ``ticks``; ``saved_ticks`` is not."""

    group: str
    files: Count = 0
    calls: Count = 0
    tokens: Count = 0
    ticks: Ticks = 0
    presumed_ticks: Ticks = 0
    saved_ticks: Ticks = 0


class CostReport(Model):
    by: str
    rows: list[CostRow]
    total: CostRow


class GetCost(Question[CostReport]):
    """Booked money, summed by day, month, repository, scan, model, stage or file."""

    by: Literal["day", "week", "month", "repository", "scan", "model", "stage", "file"] = "scan"
    repository_id: Token | None = None
    scan_id: Token | None = None
    limit: int = Field(100, ge=1, le=1000)
