"""Forward-only migrations: numbered SQL files in a service's ``migrations`` folder, run once each, in order.

Files are ``NNNN_<pre|post>_<what>.sql``: ``pre`` ones must live with the old code, ``post`` ones run when only
the new code is left. An advisory lock lets any number of replicas start at once.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Literal

from libs.db.database import Database, insist

CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtext('strandline.' || current_schema()))"
_NAME = re.compile(r"^(\d{4})_(pre|post)_[a-z0-9_]+\.sql$")


async def migrate(database: Database, package: str, *, stage: Literal["pre", "post", "all"] = "all") -> list[str]:
    """Apply what is missing from ``<package>.migrations`` in one transaction; returns the names applied.

    A server that goes away meanwhile is waited for.

    Raises:
        ValueError: a file is misnamed, or two share a number.
    """
    scripts = _scripts(package)
    return await insist(lambda: _apply(database, scripts, stage))


async def _apply(
    database: Database, scripts: dict[int, tuple[str, str, str]], stage: Literal["pre", "post", "all"]
) -> list[str]:
    async with database.transaction() as connection:
        await connection.execute(LOCK)
        await connection.execute(CREATE_HISTORY)
        done = {row["number"] for row in await connection.fetch("SELECT number FROM migrations")}
        applied = []
        for number, (name, when, sql) in sorted(scripts.items()):
            if number in done or stage not in (when, "all"):
                continue
            await connection.execute(sql)
            await connection.execute("INSERT INTO migrations (number, name) VALUES ($1, $2)", number, name)
            applied.append(name)
    return applied


def _scripts(package: str) -> dict[int, tuple[str, str, str]]:
    scripts: dict[int, tuple[str, str, str]] = {}
    for entry in (files(package) / "migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _NAME.match(entry.name)
        if match is None:
            raise ValueError(f"{entry.name} is not named NNNN_<pre|post>_<what>.sql")
        number = int(match[1])
        if number in scripts:
            raise ValueError(f"two migrations of {package} have the number {number}")
        scripts[number] = (entry.name, match[2], entry.read_text())
    return scripts
