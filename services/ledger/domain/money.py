"""Reservations, entries and budgets: what may be set aside, and what becomes of it when a report comes, or none.

The law: settled + presumed + reserved never passes a budget. Only ``decide`` lets it grow, under the locks of
every account it looks at; a report replaces what was reserved by what was spent, and by the worst case of
attempts that never reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from libs.events.ledger import BudgetWarned
from services.ledger.domain.outcomes import FileId, SpendingReport
from services.ledger.domain.scans import Change, Scan

THRESHOLDS = (50, 80, 100)
TICKS_PER_DOLLAR = 10**10

AccountId: TypeAlias = tuple[str, str, str]
"""Scope (``global``, ``repository``), id of the repository or empty, and the day or month."""

Scope = Literal["scan", "repository_day", "repository_month", "global"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What was committed in one period, and the most that may be."""

    scope: Literal["scan", "repository", "global"]
    id: str
    period: str
    committed_ticks: int = 0
    budget_ticks: int | None = None
    warned_percent: int = 0

    @property
    def account_id(self) -> AccountId:
        return self.scope, self.id, self.period

    @property
    def words(self) -> tuple[Scope, str]:
        """How facts and how people call it."""
        if self.scope == "scan":
            return "scan", "the scan's budget"
        monthly = len(self.period) == len("2026-11")
        if self.scope == "global":
            return "global", f"the {'monthly' if monthly else 'daily'} budget of all repositories"
        if monthly:
            return "repository_month", "the repository's monthly budget"
        return "repository_day", "the repository's daily budget"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """Money reserved for one attempt; ``day`` is the one whose budgets it counts against."""

    file: FileId
    stage: str
    attempt: int
    repository_id: str
    ticks: int
    day: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """What was set aside for an attempt before, and whether it still is."""

    ticks: int
    open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Booked money and where its figure comes from."""

    file: FileId
    origin: str
    repository_id: str
    path: str
    stage: str
    source: Literal["billed", "priced", "free", "presumed"]
    model: str
    ticks: int
    tokens: int
    calls: int
    day: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Movement:
    """What one booking changes in the accounts of a repository and a day."""

    repository_id: str
    day: date
    settled_ticks: int = 0
    presumed_ticks: int = 0
    reserved_ticks: int = 0


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What reports make of open reservations: entries, and which reservations end how."""

    entries: Sequence[Entry] = ()
    settled: Sequence[SetAside] = ()
    presumed: Sequence[SetAside] = ()

    @property
    def ended(self) -> list[SetAside]:
        return [*self.settled, *self.presumed]

    @property
    def ticks_by_file(self) -> dict[FileId, int]:
        ticks: dict[FileId, int] = {}
        for entry in self.entries:
            ticks[entry.file] = ticks.get(entry.file, 0) + entry.ticks
        return ticks


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether money is set aside; the warnings are told either way."""

    lacking: str
    change: Change
    accounts: Sequence[Account]

    @property
    def granted(self) -> bool:
        return not self.lacking


def dollars(ticks: int) -> str:
    return f"${Decimal(ticks) / TICKS_PER_DOLLAR:.4f}"


def account_ids(repository_id: str, day: date) -> list[AccountId]:
    """The accounts that money of that repository and day counts in, in the order in which they are locked."""
    today, month = day.isoformat(), day.isoformat()[:7]
    return sorted(
        [
            ("global", "", month),
            ("global", "", today),
            ("repository", repository_id, month),
            ("repository", repository_id, today),
        ]
    )


def settle(report: SpendingReport, reserved: Sequence[SetAside], *, today: date) -> Settlement:
    """Book what the report says, and the worst case of the attempts it does not speak for.

    ``reserved`` are the file's open reservations as they were granted. The report speaks for the last attempts:
    whoever reports came after those who died.
    """
    attempts = list(dict.fromkeys(item.attempt for item in reserved))
    spoken_for = set(attempts[len(attempts) - min(len(attempts), report.attempts) :])
    settled = [item for item in reserved if item.attempt in spoken_for]
    presumed = [item for item in reserved if item.attempt not in spoken_for]
    entries = [_presumed_entry(report, item) for item in presumed]
    if report.leaves_entry:
        entries.append(_reported_entry(report, settled[-1].day if settled else today))
    return Settlement(entries=entries, settled=settled, presumed=presumed)


def _reported_entry(report: SpendingReport, day: date) -> Entry:
    return Entry(
        file=report.file,
        origin=report.origin,
        repository_id=report.repository_id,
        path=report.path,
        stage=report.stage,
        source=report.cost.source,
        model=report.model,
        ticks=report.cost.ticks,
        tokens=report.tokens,
        calls=report.calls,
        day=day,
    )


def _presumed_entry(report: SpendingReport, item: SetAside) -> Entry:
    return Entry(
        file=item.file,
        origin=f"presumed-{item.stage}-{item.attempt}",
        repository_id=item.repository_id,
        path=report.path,
        stage=item.stage,
        source="presumed",
        model=report.model,
        ticks=item.ticks,
        tokens=0,
        calls=0,
        day=item.day,
    )


def again(item: SetAside, before: Granted) -> str:
    """Why an attempt that was granted before is not any more; nothing when the grant stands."""
    if not before.open:
        return "this attempt was settled already; a new one needs a number of its own"
    if item.ticks > before.ticks:
        return f"this attempt was granted {dollars(before.ticks)}; for more it needs a number of its own"
    return ""


def merge(settlements: Sequence[Settlement]) -> Settlement:
    return Settlement(
        entries=[entry for one in settlements for entry in one.entries],
        settled=[item for one in settlements for item in one.settled],
        presumed=[item for one in settlements for item in one.presumed],
    )


def movements(settlement: Settlement) -> list[Movement]:
    """What a settlement moves in the accounts."""
    booked = [_movement(entry) for entry in settlement.entries if entry.ticks]
    released = [
        Movement(repository_id=item.repository_id, day=item.day, reserved_ticks=-item.ticks)
        for item in settlement.ended
    ]
    return booked + released


def _movement(entry: Entry) -> Movement:
    if entry.source == "presumed":
        return Movement(repository_id=entry.repository_id, day=entry.day, presumed_ticks=entry.ticks)
    return Movement(repository_id=entry.repository_id, day=entry.day, settled_ticks=entry.ticks)


def book(scan: Scan, settlement: Settlement) -> Scan:
    """The scan with its part of the settlement booked and its reservations released."""
    entries = [entry for entry in settlement.entries if entry.file[0] == scan.scan_id]
    released = sum(item.ticks for item in settlement.ended if item.file[0] == scan.scan_id)
    presumed = sum(entry.ticks for entry in entries if entry.source == "presumed")
    return replace(
        scan,
        tokens=scan.tokens + sum(entry.tokens for entry in entries),
        settled_ticks=scan.settled_ticks + sum(entry.ticks for entry in entries) - presumed,
        presumed_ticks=scan.presumed_ticks + presumed,
        reserved_ticks=scan.reserved_ticks - released,
    )


def decide(scan: Scan, accounts: Sequence[Account], ticks: int) -> Decision:
    """Set ``ticks`` aside in the scan and in every account, or in none and say which budget is in the way."""
    purses = [_purse(scan), *accounts]
    lacking = [_lack(purse, ticks) for purse in purses]
    refusal = next(filter(None, lacking), "")
    set_aside = 0 if refusal else ticks
    purses = [replace(purse, committed_ticks=purse.committed_ticks + set_aside) for purse in purses]
    steps = [_steps(purse, exhausted=bool(lack)) for purse, lack in zip(purses, lacking, strict=True)]
    warnings = [(purse, percent) for purse, percents in zip(purses, steps, strict=True) for percent in percents]
    facts = tuple(
        _warning(scan, number, purse, percent) for number, (purse, percent) in enumerate(warnings, scan.warned + 1)
    )
    own, *others = [
        replace(purse, warned_percent=max(purse.warned_percent, *percents)) if percents else purse
        for purse, percents in zip(purses, steps, strict=True)
    ]
    scan = replace(
        scan,
        reserved_ticks=scan.reserved_ticks + set_aside,
        warned_percent=own.warned_percent,
        warned=scan.warned + len(facts),
    )
    return Decision(lacking=refusal, change=(scan, facts), accounts=others)


def _purse(scan: Scan) -> Account:
    """The scan's own budget, looked at like any other account."""
    return Account(
        scope="scan",
        id=scan.scan_id,
        period="",
        committed_ticks=scan.committed_ticks,
        budget_ticks=scan.budget_ticks,
        warned_percent=scan.warned_percent,
    )


def _lack(purse: Account, ticks: int) -> str:
    if purse.budget_ticks is None or purse.committed_ticks + ticks <= purse.budget_ticks:
        return ""
    left = dollars(max(0, purse.budget_ticks - purse.committed_ticks))
    whose = purse.words[1]
    return f"{whose} of {dollars(purse.budget_ticks)} has {left} left, and this call may cost {dollars(ticks)}"


def _steps(purse: Account, *, exhausted: bool) -> list[int]:
    """The thresholds passed for the first time; a budget that had to refuse counts as used up."""
    passed = 100 if exhausted else _passed(purse.committed_ticks, purse.budget_ticks)
    return [percent for percent in THRESHOLDS if purse.warned_percent < percent <= passed]


def _warning(scan: Scan, number: int, purse: Account, percent: int) -> BudgetWarned:
    return BudgetWarned(
        repository_id=scan.repository_id,
        scan_id=scan.scan_id,
        number=number,
        scope=purse.words[0],
        percent=percent,
        committed_ticks=purse.committed_ticks,
        budget_ticks=purse.budget_ticks or 0,
    )


def _passed(committed: int, budget: int | None) -> int:
    """The highest threshold reached; 0 below the first."""
    if not budget:
        return 0
    return max((percent for percent in THRESHOLDS if committed * 100 >= percent * budget), default=0)


def set_budget(scan: Scan, budget_ticks: int | None) -> Scan:
    """A person's word on the scan's budget; thresholds that it moves out of reach are warned of anew."""
    if budget_ticks is None:
        return scan
    passed = _passed(scan.committed_ticks, budget_ticks)
    return replace(scan, raised_budget_ticks=budget_ticks, warned_percent=min(scan.warned_percent, passed))
