"""What the ledger tells: budgets, halts, and that a scan has an outcome for every listed file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from libs.events.differ import SkipReason
from libs.events.envelope import Count, Fact, Model, Ticks


class Coverage(Model):
    """Exactly one outcome for each listed file; the parts add up to ``total``."""

    analysed: Count = 0
    reused: Count = 0
    skipped: dict[SkipReason, Count] = Field(default_factory=dict)
    failed: Count = 0
    unreached: Count = 0
    total: Count = 0


class NumberedFact(Fact):
    """A fact that can happen several times in a scan: its ordinal ends the subject."""

    number: Annotated[int, Field(ge=1)]

    def subject_key(self) -> str:
        return str(self.number)


class BudgetWarned(NumberedFact):
    """Settled plus reserved money passed a threshold of a budget."""

    type_name: ClassVar[str] = "strandline.budget.warned.v1"
    token: ClassVar[str] = "budget.warned"
    source: ClassVar[str] = "ledger"

    scope: Literal["scan", "repository_day", "repository_month", "global"]
    percent: int
    committed_ticks: Ticks
    budget_ticks: Ticks


class ScanHalted(NumberedFact):
    """No further file of this scan is handed out until it is resumed, finished or cancelled."""

    type_name: ClassVar[str] = "strandline.scan.halted.v1"
    token: ClassVar[str] = "halted"
    source: ClassVar[str] = "ledger"

    reason: Literal["budget", "person"]
    detail: str = ""


class ScanResumed(NumberedFact):
    """A halted scan goes on where it stopped; ``number`` is that of the halt it ends."""

    type_name: ClassVar[str] = "strandline.scan.resumed.v1"
    token: ClassVar[str] = "resumed"
    source: ClassVar[str] = "ledger"

    budget_ticks: Ticks | None = None


class ScanCancelled(Fact):
    """A person ended the scan; what was not reached stays unreached."""

    type_name: ClassVar[str] = "strandline.scan.cancelled.v1"
    token: ClassVar[str] = "cancelled"
    source: ClassVar[str] = "ledger"

    detail: str = ""


class ScanCompleted(Fact):
    """The scan is over and its coverage final. Money may still be booked late, by calls that were in flight."""

    type_name: ClassVar[str] = "strandline.scan.completed.v1"
    token: ClassVar[str] = "completed"
    source: ClassVar[str] = "ledger"

    status: Literal["complete", "incomplete", "cancelled"] = Field(
        description="``incomplete``: something failed or was not reached."
    )
    coverage: Coverage
    cost_ticks: Ticks = 0
    saved_ticks: Ticks = 0
    started_at: datetime
    completed_at: datetime
    engine: str = ""
    commit: str | None = None
    tree: str = ""
