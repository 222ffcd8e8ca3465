"""What the ledger's handlers need: books that are written a page at a time, and read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Protocol

from libs.events.envelope import Fact
from libs.questions.ledger import AccountedFile, CostReport, GetCost, ListAccounted, ListScans
from services.ledger.domain.money import Account, Entry, Granted, Movement, SetAside
from services.ledger.domain.outcomes import CountedFile, FileId
from services.ledger.domain.scans import Change, Scan


class Page(Protocol):
    """The books of some scans, locked until the page is closed: look and write as you like, nobody is between.

    Everything written becomes true at once when the page is left without an exception, or not at all.
    """

    @property
    def scans(self) -> Mapping[str, Scan]:
        """The locked scans as they stood when the page was opened; a scan that is not known is not there."""

    async def counted(self, files: Collection[FileId]) -> set[FileId]:
        """Those of the files that have an outcome already."""

    async def set_asides(self, files: Collection[FileId]) -> dict[FileId, list[SetAside]]:
        """The open reservations of the files, as they were granted."""

    async def granted(self, item: SetAside) -> Granted | None:
        """What was ever set aside for the same attempt."""

    async def accounts(self, repository_id: str, day: date) -> list[Account]:
        """The accounts of a repository and of all, for that day and month, locked, with their budgets."""

    async def count(self, files: Sequence[CountedFile], *, at: datetime) -> None:
        """Keep outcomes of files that have none."""

    async def book(self, entries: Sequence[Entry], *, at: datetime) -> list[Entry]:
        """Keep entries; returns those that were not kept before."""

    async def set_aside(self, item: SetAside) -> None:
        """Keep a reservation that was decided, in the accounts too."""

    async def close(self, *, settled: Collection[SetAside], presumed: Collection[SetAside]) -> None:
        """End reservations."""

    async def move(self, movements: Iterable[Movement]) -> None:
        """Change the accounts."""

    async def warn(self, accounts: Sequence[Account]) -> None:
        """Keep how far these accounts were warned of."""

    async def keep(self, changes: Sequence[Change]) -> list[Scan]:
        """Keep scans as they are now, and the facts to publish once the page is closed; returns them as kept."""


class Books(Protocol):
    """The ledger's read model. Every method may raise Retry when the database is away or contended."""

    def open_page(
        self, scan_ids: Collection[str], *, begin: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Page]:
        """Lock scans. ``begin`` names the repository of those that shall be begun if they are new."""

    async def find_scan(self, scan_id: str) -> Scan | None:
        """The scan as it stands."""

    async def list_scans(self, question: ListScans) -> list[Scan]:
        """Scans, newest first."""

    async def list_accounted(self, question: ListAccounted) -> list[AccountedFile]:
        """Outcomes after an ordinal, in order."""

    async def cost(self, question: GetCost) -> CostReport:
        """Booked money by group; what does not fit the limit is summed in a last row, so that rows add up."""

    async def untold(self, scan_ids: Collection[str] | None = None) -> dict[str, tuple[int, list[Fact]]]:
        """Facts that were kept and may not be published yet, by scan, with the turn of the last; none: of all scans."""

    async def mark_told(self, scan_id: str, turn: int) -> None:
        """Say that the scan's facts are published up to that turn."""

    async def set_budgets(self, budgets: Mapping[tuple[str, str, str], int | None]) -> None:
        """Set or (None) lift budgets by scope, id and period."""
