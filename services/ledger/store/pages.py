"""A page of the books in PostgreSQL: one transaction that holds the rows of its scans.

Locks are taken in one order everywhere: scans by id, then accounts by their key. So nobody waits in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date, datetime
from typing import Any

import asyncpg
from pydantic_core import from_json, to_json

from libs.db.database import Connection
from libs.events.envelope import encode
from services.ledger.domain.money import Account, AccountId, Entry, Granted, Movement, SetAside, account_ids
from services.ledger.domain.outcomes import CountedFile, FileId
from services.ledger.domain.scans import Change, Scan

_COLUMNS = tuple(field.name for field in fields(Scan))
_CHANGING = ", ".join(name for name in _COLUMNS if name not in ("scan_id", "repository_id", "told"))

SCAN_COLUMNS = ", ".join(f"scans.{name}" for name in _COLUMNS)
BEGIN_SCANS = f"""
INSERT INTO scans (scan_id, repository_id)
SELECT * FROM unnest($1::text[], $2::text[]) AS new (scan_id, repository_id) ORDER BY scan_id
ON CONFLICT (scan_id) DO UPDATE SET scan_id = EXCLUDED.scan_id
RETURNING {SCAN_COLUMNS}
"""
LOCK_SCANS = f"SELECT {SCAN_COLUMNS} FROM scans WHERE scan_id = ANY($1::text[]) ORDER BY scan_id FOR UPDATE"
KEEP_SCANS = f"""
UPDATE scans SET ({_CHANGING}) = (SELECT {", ".join(f"new.{name}" for name in _CHANGING.split(", "))})
FROM jsonb_populate_recordset(NULL::scans, $1::jsonb) AS new WHERE scans.scan_id = new.scan_id
"""
ANNOUNCE = """
INSERT INTO announcements (scan_id, turn, type_name, payload)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[])
"""
# OFFSET 0 keeps the planner from joining: a plan made while the table was empty would read all of it each time.
COUNTED = """
SELECT asked.file_id FROM unnest($1::text[]) AS asked (file_id)
WHERE EXISTS (SELECT FROM files WHERE files.file_id = asked.file_id OFFSET 0)
"""
COUNT_FILES = """
INSERT INTO files (file_id, scan_id, ordinal, path, outcome, reason, engine, model, ticks, tokens, saved_ticks,
                   total_ticks, accounted_at)
SELECT *, $13::timestamptz FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
"""
BOOK_ENTRIES = """
INSERT INTO entries (scan_id, key, origin, repository_id, path, stage, source, model, ticks, tokens, calls, day,
                     booked_at)
SELECT *, $13::timestamptz FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::date[])
ON CONFLICT DO NOTHING RETURNING scan_id, key, origin
"""
OPEN_RESERVATIONS = """
SELECT kept.* FROM unnest($1::text[], $2::text[]) AS asked (scan_id, key), LATERAL (
    SELECT * FROM reservations
    WHERE reservations.scan_id = asked.scan_id AND reservations.key = asked.key AND state = 'open' OFFSET 0
) AS kept ORDER BY kept.place
"""
GRANTED = """
SELECT ticks, state FROM reservations WHERE scan_id = $1 AND key = $2 AND stage = $3 AND attempt = $4
"""
SET_ASIDE = """
INSERT INTO reservations (scan_id, key, stage, attempt, repository_id, ticks, day) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
CLOSE_RESERVATIONS = """
UPDATE reservations SET state = ended.state
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS ended (scan_id, key, stage, attempt, state)
WHERE reservations.scan_id = ended.scan_id AND reservations.key = ended.key
  AND reservations.stage = ended.stage AND reservations.attempt = ended.attempt
"""
LOCK_ACCOUNTS = """
INSERT INTO accounts (scope, id, period)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS new (scope, id, period) ORDER BY scope, id, period
ON CONFLICT (scope, id, period) DO UPDATE SET scope = EXCLUDED.scope
RETURNING scope, id, period, settled_ticks + presumed_ticks + reserved_ticks AS committed_ticks, warned_percent
"""
BUDGETS = """
SELECT DISTINCT ON (scope, period) scope, period, ticks FROM budgets
WHERE scope = 'global' OR id IN ('*', $1) ORDER BY scope, period, id = '*'
"""
MOVE = """
INSERT INTO accounts AS old (scope, id, period, settled_ticks, presumed_ticks, reserved_ticks)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS moved (scope, id, period, settled, presumed, reserved) ORDER BY scope, id, period
ON CONFLICT (scope, id, period) DO UPDATE SET
    settled_ticks = old.settled_ticks + EXCLUDED.settled_ticks,
    presumed_ticks = old.presumed_ticks + EXCLUDED.presumed_ticks,
    reserved_ticks = old.reserved_ticks + EXCLUDED.reserved_ticks
"""
WARN = """
UPDATE accounts SET warned_percent = told.percent
FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS told (scope, id, period, percent)
WHERE accounts.scope = told.scope AND accounts.id = told.id AND accounts.period = told.period
"""


def scan_from(row: asyncpg.Record) -> Scan:
    values: dict[str, Any] = dict(row)
    values["skipped"] = from_json(values["skipped"])
    return Scan(**values)


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[Sequence[Any]]:
    """Rows turned into the arrays that ``unnest`` takes."""
    return list(zip(*rows, strict=True)) or [()] * width


class PostgresPage:
    """Use it only inside the transaction that made it."""

    def __init__(self, connection: Connection, scans: Mapping[str, Scan]) -> None:
        self._connection = connection
        self._scans = scans

    @classmethod
    async def lock(cls, connection: Connection, scan_ids: Collection[str], begin: Mapping[str, str]) -> PostgresPage:
        if begin:
            rows = await connection.fetch(BEGIN_SCANS, list(begin), list(begin.values()))
        else:
            rows = await connection.fetch(LOCK_SCANS, list(scan_ids))
        return cls(connection, {row["scan_id"]: scan_from(row) for row in rows})

    @property
    def scans(self) -> Mapping[str, Scan]:
        return self._scans

    async def counted(self, files: Collection[FileId]) -> set[FileId]:
        by_id = {_file_id(file): file for file in files}
        return {by_id[row["file_id"]] for row in await self._connection.fetch(COUNTED, list(by_id))}

    async def count(self, files: Sequence[CountedFile], *, at: datetime) -> None:
        rows = [
            (
                _file_id(item.outcome.file),
                item.outcome.file[0],
                item.ordinal,
                _storable(item.outcome.path),
                item.outcome.outcome,
                item.outcome.reason,
                item.outcome.engine,
                item.outcome.model,
                item.outcome.ticks,
                item.outcome.tokens,
                item.outcome.saved_ticks,
                item.total_ticks,
            )
            for item in files
        ]
        await self._connection.execute(COUNT_FILES, *columns(rows, 12), at)

    async def book(self, entries: Sequence[Entry], *, at: datetime) -> list[Entry]:
        named: dict[tuple[str, str, str], Entry] = {}
        for entry in entries:
            named.setdefault((*entry.file, entry.origin), entry)
        rows = [
            (*name, e.repository_id, _storable(e.path), e.stage, e.source, e.model, e.ticks, e.tokens, e.calls, e.day)
            for name, e in named.items()
        ]
        new = await self._connection.fetch(BOOK_ENTRIES, *columns(rows, 12), at)
        return [named[scan_id, key, origin] for scan_id, key, origin in new]

    async def set_asides(self, files: Collection[FileId]) -> dict[FileId, list[SetAside]]:
        found: dict[FileId, list[SetAside]] = defaultdict(list)
        for row in await self._connection.fetch(OPEN_RESERVATIONS, *columns(files, 2)):
            item = SetAside(
                file=(row["scan_id"], row["key"]),
                stage=row["stage"],
                attempt=row["attempt"],
                repository_id=row["repository_id"],
                ticks=row["ticks"],
                day=row["day"],
            )
            found[item.file].append(item)
        return dict(found)

    async def granted(self, item: SetAside) -> Granted | None:
        row = await self._connection.fetchrow(GRANTED, *item.file, item.stage, item.attempt)
        return None if row is None else Granted(ticks=row["ticks"], open=row["state"] == "open")

    async def set_aside(self, item: SetAside) -> None:
        await self._connection.execute(
            SET_ASIDE, *item.file, item.stage, item.attempt, item.repository_id, item.ticks, item.day
        )
        await self.move([Movement(repository_id=item.repository_id, day=item.day, reserved_ticks=item.ticks)])

    async def close(self, *, settled: Collection[SetAside], presumed: Collection[SetAside]) -> None:
        ended = [(*item.file, item.stage, item.attempt, "settled") for item in settled]
        ended += [(*item.file, item.stage, item.attempt, "presumed") for item in presumed]
        if ended:
            await self._connection.execute(CLOSE_RESERVATIONS, *columns(ended, 5))

    async def accounts(self, repository_id: str, day: date) -> list[Account]:
        rows = await self._connection.fetch(LOCK_ACCOUNTS, *columns(account_ids(repository_id, day), 3))
        budgets = {
            (row["scope"], row["period"]): row["ticks"] for row in await self._connection.fetch(BUDGETS, repository_id)
        }
        return [
            Account(**row, budget_ticks=budgets.get((row["scope"], "day" if len(row["period"]) == 10 else "month")))
            for row in rows
        ]

    async def move(self, movements: Iterable[Movement]) -> None:
        sums: dict[AccountId, list[int]] = defaultdict(lambda: [0, 0, 0])
        for moved in movements:
            for account_id in account_ids(moved.repository_id, moved.day):
                change = (moved.settled_ticks, moved.presumed_ticks, moved.reserved_ticks)
                sums[account_id] = [old + new for old, new in zip(sums[account_id], change, strict=True)]
        if sums:
            rows = [(*account_id, *change) for account_id, change in sums.items()]
            await self._connection.execute(MOVE, *columns(rows, 6))

    async def warn(self, accounts: Sequence[Account]) -> None:
        rows = [(*account.account_id, account.warned_percent) for account in accounts]
        if rows:
            await self._connection.execute(WARN, *columns(rows, 4))

    async def keep(self, changes: Sequence[Change]) -> list[Scan]:
        kept = [replace(scan, kept=scan.kept + len(facts)) for scan, facts in changes]
        changed = [asdict(scan) for scan in kept if scan != self._scans[scan.scan_id]]
        if changed:
            await self._connection.execute(KEEP_SCANS, to_json(changed).decode())
        turns = [
            (scan.scan_id, turn, fact.type_name, encode(fact).decode())
            for scan, facts in changes
            for turn, fact in enumerate(facts, start=scan.kept + 1)
        ]
        if turns:
            await self._connection.execute(ANNOUNCE, *columns(turns, 4))
        return kept


def _file_id(file: FileId) -> str:
    return "/".join(file)


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL; git's paths have none either, but nothing from outside is taken on trust."""
    return text.replace("\x00", "\\x00")
