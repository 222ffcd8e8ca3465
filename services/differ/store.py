"""Repositories and scans in PostgreSQL, schema ``differ``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from libs.db.database import Database
from libs.events.differ import ScanRequested
from libs.questions.differ import ChangeRepository, RegisterRepository, Repository
from services.differ.domain.plan import Plan
from services.differ.ports import Base, Scan

REPOSITORY = """
SELECT r.id, r.location, r.branch, r.enabled, r.interval_seconds, r.budget_ticks, r.engine, r.registered_at,
       (SELECT id FROM scans s WHERE s.repository_id = r.id AND state IN ('requested', 'listing', 'active'))
           AS active_scan_id,
       (SELECT id FROM scans s WHERE s.repository_id = r.id ORDER BY id DESC LIMIT 1) AS last_scan_id,
       (SELECT commit FROM scans s WHERE s.repository_id = r.id AND commit IS NOT NULL ORDER BY id DESC LIMIT 1)
           AS last_commit
FROM repositories r
"""
REGISTER = """
INSERT INTO repositories (id, location, branch, interval_seconds, budget_ticks, engine, next_scan_at)
VALUES ($1, $2, $3, $4::integer, $5, $6, now() + make_interval(secs => $4::integer))
ON CONFLICT (location, coalesce(branch, '')) DO UPDATE SET
    interval_seconds = coalesce(EXCLUDED.interval_seconds, repositories.interval_seconds),
    next_scan_at = coalesce(EXCLUDED.next_scan_at, repositories.next_scan_at),
    budget_ticks = coalesce(EXCLUDED.budget_ticks, repositories.budget_ticks),
    engine = CASE WHEN EXCLUDED.engine = 'auto' THEN repositories.engine ELSE EXCLUDED.engine END
"""
CHANGE = """
UPDATE repositories SET
    enabled = coalesce($2, enabled),
    interval_seconds = CASE WHEN $3::integer = 0 THEN NULL ELSE coalesce($3::integer, interval_seconds) END,
    next_scan_at = CASE
        WHEN $3::integer = 0 THEN NULL
        WHEN $3::integer IS NULL THEN next_scan_at
        ELSE now() + make_interval(secs => $3::integer)
    END,
    budget_ticks = coalesce($4, budget_ticks),
    engine = coalesce($5, engine)
WHERE id = $1
"""
# Whoever lets a scan begin or forgets the repository holds its row, so that neither acts on what the other changes.
HOLD = "SELECT true FROM repositories WHERE id = $1 FOR UPDATE"
HOLD_OF = "SELECT true FROM repositories WHERE id = (SELECT repository_id FROM scans WHERE id = $1) FOR UPDATE"
REMOVE = "DELETE FROM repositories WHERE id = $1"
DUE = """
UPDATE repositories SET next_scan_at = $1::timestamptz + make_interval(secs => interval_seconds)
WHERE id IN (
    SELECT id FROM repositories WHERE enabled AND next_scan_at <= $1
    ORDER BY next_scan_at LIMIT 20 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
REQUEST = "INSERT INTO scans (id, repository_id, request) VALUES ($1, $2, $3)"
ACTIVE_OF = "SELECT id FROM scans WHERE repository_id = $1 AND state IN ('requested', 'listing', 'active')"
ASK_AGAIN = "UPDATE scans SET again = true WHERE id = $1"
UNTOLD = "SELECT request FROM scans WHERE state = 'requested'"
SCAN = "SELECT id, repository_id, state, request, plan, problem FROM scans WHERE id = $1"
KEEP_PLAN = """
UPDATE scans SET plan = $2, engine_digest = $3, tree = $4, commit = $5, state = 'listing'
WHERE id = $1 AND plan IS NULL AND state = 'requested'
"""
SET_STATE = "UPDATE scans SET state = $2 WHERE id = $1 AND state IN ('requested', 'listing', 'active')"
FAIL = "UPDATE scans SET state = 'failed', problem = $2 WHERE id = $1 AND state IN ('requested', 'listing')"
COMPLETE = "UPDATE scans SET state = 'completed', covered = $2 WHERE id = $1 RETURNING again"
BASE = """
SELECT tree, commit, id FROM scans WHERE repository_id = $1 AND engine_digest = $2 AND covered
ORDER BY id DESC LIMIT 1
"""
LAST_COVERED = "SELECT tree, commit, id FROM scans WHERE repository_id = $1 AND covered ORDER BY id DESC LIMIT 1"
TREES_SINCE = """
SELECT tree FROM scans WHERE repository_id = $1 AND tree IS NOT NULL AND id > $2 ORDER BY id DESC LIMIT $3
"""
NO_MORE_AGAIN = "UPDATE scans SET again = false WHERE id = $1 AND again RETURNING true"
SUPERSEDED = """
SELECT id FROM scans AS old
WHERE repository_id = $1 AND tree IS NOT NULL AND state IN ('completed', 'failed') AND id < $2
    AND NOT (covered AND NOT EXISTS (
        SELECT FROM scans WHERE repository_id = $1 AND engine_digest = old.engine_digest AND covered AND id > old.id
    ))
"""
LET_GO = "UPDATE scans SET tree = NULL WHERE id = $1"
ACTIVE_COUNT = "SELECT count(*) FROM scans WHERE state = 'active'"


class PostgresRepositories:
    """The differ's read and write model."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, repository_id: str, question: RegisterRepository) -> Repository:
        """Add the repository, or return the one that has this location and branch."""
        async with self._database.transaction() as connection:
            await connection.execute(
                REGISTER,
                repository_id,
                question.location,
                question.branch,
                question.interval_seconds,
                question.budget_ticks,
                question.engine,
            )
            where = "WHERE r.location = $1 AND coalesce(r.branch, '') = coalesce($2, '')"
            row = await connection.fetchrow(REPOSITORY + where, question.location, question.branch)
        assert row is not None
        return _repository(row)

    async def repository(self, repository_id: str) -> Repository | None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(REPOSITORY + "WHERE r.id = $1", repository_id)
        return _repository(row) if row else None

    async def repositories(self) -> list[Repository]:
        async with self._database.transaction() as connection:
            rows = await connection.fetch(REPOSITORY + "ORDER BY r.location, r.branch")
        return [_repository(row) for row in rows]

    async def change(self, question: ChangeRepository) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                CHANGE,
                question.repository_id,
                question.enabled,
                question.interval_seconds,
                question.budget_ticks,
                question.engine,
            )

    async def remove(self, repository_id: str) -> str | None:
        """Forget the repository and its scans; or leave it and return its active scan, if there is one."""
        async with self._database.transaction() as connection:
            await connection.execute(HOLD, repository_id)
            active: str | None = await connection.fetchval(ACTIVE_OF, repository_id)
            if active is None:
                await connection.execute(REMOVE, repository_id)
        return active

    async def due(self, now: datetime) -> list[str]:
        """Repositories whose interval has passed; each is handed out once an interval, to one replica."""
        async with self._database.transaction() as connection:
            return [row["id"] for row in await connection.fetch(DUE, now)]

    async def request(self, request: ScanRequested, *, again: bool) -> Scan | None:
        """Keep a request as the repository's active scan, or return the one that already is.

        ``again`` asks the active one to be followed by another. None: the request became the active scan.

        Raises:
            KeyError: there is no such repository.
        """
        async with self._database.transaction() as connection:
            active = await _take_up(connection, request)
            if active is not None and again:
                await connection.execute(ASK_AGAIN, active)
            return await _scan(connection, active) if active is not None else None

    async def untold(self) -> list[ScanRequested]:
        """Requests that may have been kept but not published yet."""
        async with self._database.transaction() as connection:
            return [ScanRequested.model_validate_json(row["request"]) for row in await connection.fetch(UNTOLD)]

    async def scan(self, scan_id: str) -> Scan | None:
        async with self._database.transaction() as connection:
            return await _scan(connection, scan_id)

    async def keep_plan(self, scan_id: str, plan: Plan) -> Plan | None:
        """Fix what a scan lists. The first plan stays; that one is returned. None: it was ended before it had one."""
        async with self._database.transaction() as connection:
            await connection.execute(
                KEEP_PLAN, scan_id, plan.model_dump_json(), plan.engine_digest, plan.tree, plan.commit
            )
            scan = await _scan(connection, scan_id)
        return scan.plan if scan is not None else None

    async def activate(self, scan_id: str) -> None:
        """The listing is published."""
        async with self._database.transaction() as connection:
            await connection.execute(SET_STATE, scan_id, "active")

    async def fail(self, scan_id: str, problem: str) -> None:
        """The listing is impossible, and why."""
        async with self._database.transaction() as connection:
            await connection.execute(HOLD_OF, scan_id)
            await connection.execute(FAIL, scan_id, problem)

    async def complete(self, scan_id: str, *, covered: bool) -> bool:
        """The scan is over. Returns whether another one was asked for meanwhile."""
        async with self._database.transaction() as connection:
            await connection.execute(HOLD_OF, scan_id)
            return bool(await connection.fetchval(COMPLETE, scan_id, covered))

    async def follow_up(self, scan_id: str, request: ScanRequested) -> None:
        """Keep the request that follows a scan, where one was asked for; once, however often this is called."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(NO_MORE_AGAIN, scan_id):
                await _take_up(connection, request)

    async def base(self, repository_id: str, engine_digest: str) -> Base | None:
        """The last scan that covered everything with the same engine and settings."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(BASE, repository_id, engine_digest)
        return _base(row)

    async def last_covered(self, repository_id: str) -> Base | None:
        """The last scan that covered everything, whatever the engine was."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(LAST_COVERED, repository_id)
        return _base(row)

    async def trees_since(self, repository_id: str, scan_id: str, *, most: int) -> list[str]:
        """The trees of the latest scans after that one, newest first."""
        async with self._database.transaction() as connection:
            return [row["tree"] for row in await connection.fetch(TREES_SINCE, repository_id, scan_id, most)]

    async def superseded(self, repository_id: str, scan_id: str) -> list[str]:
        """Scans before this one whose trees are kept and needed no more: nothing is compared with them."""
        async with self._database.transaction() as connection:
            return [row["id"] for row in await connection.fetch(SUPERSEDED, repository_id, scan_id)]

    async def let_go(self, scan_id: str) -> None:
        """The scan's tree is kept no more."""
        async with self._database.transaction() as connection:
            await connection.execute(LET_GO, scan_id)

    async def active_count(self) -> int:
        async with self._database.transaction() as connection:
            return int(await connection.fetchval(ACTIVE_COUNT))


async def _take_up(connection: Any, request: ScanRequested) -> str | None:
    """Make the request the repository's active scan, or return the one that is. Raises KeyError."""
    if not await connection.fetchval(HOLD, request.repository_id):
        raise KeyError(request.repository_id)
    active: str | None = await connection.fetchval(ACTIVE_OF, request.repository_id)
    if active is None:
        await connection.execute(REQUEST, request.scan_id, request.repository_id, request.model_dump_json())
    return active


def _base(row: asyncpg.Record | None) -> Base | None:
    return Base(scan_id=row["id"], tree=row["tree"], commit=row["commit"]) if row is not None else None


def _repository(row: asyncpg.Record) -> Repository:
    return Repository.model_validate(dict(row))


async def _scan(connection: Any, scan_id: str) -> Scan | None:
    row = await connection.fetchrow(SCAN, scan_id)
    if row is None:
        return None
    return Scan(
        id=row["id"],
        repository_id=row["repository_id"],
        state=row["state"],
        request=ScanRequested.model_validate_json(row["request"]),
        plan=Plan.model_validate_json(row["plan"]) if row["plan"] else None,
        problem=row["problem"],
    )
