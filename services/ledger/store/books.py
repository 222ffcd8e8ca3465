"""The ledger's books in PostgreSQL: opening pages, reading progress and outcomes, and what is still to be told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping

from libs.db.database import Database
from libs.events.catalog import decode
from libs.events.envelope import Fact
from libs.questions.ledger import AccountedFile, CostReport, GetCost, ListAccounted, ListScans
from services.ledger.domain.scans import Scan
from services.ledger.store.costs import read_cost
from services.ledger.store.pages import SCAN_COLUMNS, PostgresPage, scan_from

FIND_SCAN = f"SELECT {SCAN_COLUMNS} FROM scans WHERE scan_id = $1"
LIST_SCANS = f"""
SELECT {SCAN_COLUMNS} FROM scans
WHERE ($1::text IS NULL OR repository_id = $1) AND (NOT $2 OR completed_at IS NULL)
ORDER BY scan_id DESC LIMIT $3
"""
# Ordinals are dense, so a page of all outcomes has a known end ($5): no plan can make it read the whole scan.
LIST_ACCOUNTED = """
SELECT ordinal, split_part(file_id, '/', 2) AS key, path, outcome, reason, engine, ticks AS cost_ticks, tokens,
       total_ticks
FROM files
WHERE scan_id = $1 AND ordinal > $2 AND ordinal <= $5::integer AND ($4::text[] = '{}' OR outcome = ANY($4))
ORDER BY ordinal LIMIT $3
"""
LAST_ORDINAL = 2**31 - 1
UNTOLD = """
SELECT scan_id, turn, type_name, payload FROM scans JOIN announcements USING (scan_id)
WHERE told < kept AND turn > told AND ($1::text[] IS NULL OR scan_id = ANY($1))
ORDER BY scan_id, turn
"""
MARK_TOLD = "UPDATE scans SET told = $2 WHERE scan_id = $1 AND told < $2"
SET_BUDGET = """
INSERT INTO budgets (scope, id, period, ticks) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, id, period) DO UPDATE SET ticks = EXCLUDED.ticks
"""
LIFT_BUDGET = "DELETE FROM budgets WHERE scope = $1 AND id = $2 AND period = $3"


class PostgresBooks:
    """Everything the ledger knows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def open_page(
        self, scan_ids: Collection[str], *, begin: Mapping[str, str] | None = None
    ) -> AsyncIterator[PostgresPage]:
        async with self._database.transaction() as connection:
            yield await PostgresPage.lock(connection, scan_ids, begin or {})

    async def find_scan(self, scan_id: str) -> Scan | None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(FIND_SCAN, scan_id)
        return None if row is None else scan_from(row)

    async def list_scans(self, question: ListScans) -> list[Scan]:
        async with self._database.transaction() as connection:
            rows = await connection.fetch(LIST_SCANS, question.repository_id, question.active, question.limit)
        return [scan_from(row) for row in rows]

    async def list_accounted(self, question: ListAccounted) -> list[AccountedFile]:
        last = LAST_ORDINAL if question.outcomes else min(LAST_ORDINAL, question.after + question.limit)
        after = min(LAST_ORDINAL, question.after)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                LIST_ACCOUNTED, question.scan_id, after, question.limit, question.outcomes, last
            )
        return [AccountedFile.model_construct(**row) for row in rows]

    async def cost(self, question: GetCost) -> CostReport:
        async with self._database.transaction() as connection:
            return await read_cost(connection, question)

    async def untold(self, scan_ids: Collection[str] | None = None) -> dict[str, tuple[int, list[Fact]]]:
        wanted = None if scan_ids is None else list(scan_ids)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(UNTOLD, wanted)
        found: dict[str, tuple[int, list[Fact]]] = {}
        for scan_id, turn, type_name, payload in rows:
            _, facts = found.get(scan_id, (0, []))
            found[scan_id] = (turn, [*facts, decode(type_name, payload.encode())])
        return found

    async def mark_told(self, scan_id: str, turn: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(MARK_TOLD, scan_id, turn)

    async def set_budgets(self, budgets: Mapping[tuple[str, str, str], int | None]) -> None:
        async with self._database.transaction() as connection:
            for budget_id, ticks in sorted(budgets.items()):
                if ticks is None:
                    await connection.execute(LIFT_BUDGET, *budget_id)
                else:
                    await connection.execute(SET_BUDGET, *budget_id, ticks)
