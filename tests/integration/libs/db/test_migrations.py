"""Migrations on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.db.database import open_database
from libs.db.migrations import migrate


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The migrations folder of the package ``migrated_service``, empty."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "migrated_service" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    yield folder
    sys.modules.pop("migrated_service", None)


async def run(url: str, **options: str) -> list[str]:
    async with open_database(url, "ledger") as database:
        return await migrate(database, "migrated_service", **options)  # type: ignore[arg-type]


async def test_they_run_in_the_order_of_their_numbers_and_once(database_url: str, package: Path) -> None:
    (package / "0010_pre_second.sql").write_text("INSERT INTO kept VALUES (2)")
    (package / "0002_pre_first.sql").write_text("CREATE TABLE kept (n integer PRIMARY KEY)")

    assert await run(database_url) == ["0002_pre_first.sql", "0010_pre_second.sql"]
    assert await run(database_url) == []


async def test_a_new_one_is_applied_to_what_is_there(database_url: str, package: Path) -> None:
    (package / "0001_pre_table.sql").write_text("CREATE TABLE kept (n integer)")
    await run(database_url)
    (package / "0002_pre_column.sql").write_text("ALTER TABLE kept ADD m integer")

    assert await run(database_url) == ["0002_pre_column.sql"]


async def test_a_stage_leaves_the_other_for_later(database_url: str, package: Path) -> None:
    (package / "0001_pre_table.sql").write_text("CREATE TABLE kept (n integer, old integer)")
    (package / "0002_post_drop.sql").write_text("ALTER TABLE kept DROP old")

    assert await run(database_url, stage="pre") == ["0001_pre_table.sql"]
    assert await run(database_url, stage="post") == ["0002_post_drop.sql"]


async def test_replicas_that_start_at_once_apply_each_once(database_url: str, package: Path) -> None:
    (package / "0001_pre_table.sql").write_text("CREATE TABLE kept (n integer); SELECT pg_sleep(0.05)")
    (package / "0002_pre_row.sql").write_text("INSERT INTO kept VALUES (1)")

    applied = await asyncio.gather(*(run(database_url) for _ in range(5)))

    assert sorted(applied, key=len)[-1] == ["0001_pre_table.sql", "0002_pre_row.sql"]
    assert [names for names in applied if names] == [["0001_pre_table.sql", "0002_pre_row.sql"]]


async def test_when_one_fails_none_of_them_happened(database_url: str, package: Path) -> None:
    (package / "0001_pre_table.sql").write_text("CREATE TABLE kept (n integer)")
    (package / "0002_pre_wrong.sql").write_text("SELECT no_such_thing")

    with pytest.raises(asyncpg.UndefinedColumnError):
        await run(database_url)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('ledger.kept')") is None
    await connection.close()


async def test_services_on_one_database_do_not_share_their_history(database_url: str, package: Path) -> None:
    (package / "0001_pre_table.sql").write_text("CREATE TABLE kept (n integer)")
    await run(database_url)

    async with open_database(database_url, "reviewer") as database:
        assert await migrate(database, "migrated_service") == ["0001_pre_table.sql"]


@pytest.mark.parametrize("name", ["1_pre_short.sql", "0001_table.sql", "0001_pre_Table.sql"])
async def test_a_misnamed_file_is_refused_before_anything_runs(database_url: str, package: Path, name: str) -> None:
    (package / name).write_text("SELECT no_such_thing")

    with pytest.raises(ValueError, match=f"{name} is not named"):
        await run(database_url)


async def test_two_of_one_number_are_refused(database_url: str, package: Path) -> None:
    (package / "0001_pre_one.sql").touch()
    (package / "0001_post_two.sql").touch()

    with pytest.raises(ValueError, match="two migrations of migrated_service have the number 1"):
        await run(database_url)
