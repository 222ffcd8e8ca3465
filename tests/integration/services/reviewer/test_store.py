"""The read model over a real PostgreSQL: a function of the facts, whatever order they come in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.db.database import Database, open_database
from libs.db.migrations import migrate
from libs.events.analyzer import Category, Severity
from libs.events.differ import FileFact
from libs.questions.reviewer import ListFindings
from services.reviewer.ports import Heard
from services.reviewer.store import PostgresReadModel
from tests.unit.services.reviewer.domain.test_lifecycle import histories
from tests.unit.services.reviewer.scene import REPOSITORY, a_finding, analysed, fingerprint, removed, skipped

TABLES = ("repositories", "scans", "outcomes", "files", "findings")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, "reviewer", patience=30) as database:
        await migrate(database, "services.reviewer")
        yield database


@pytest.fixture
def model(database: Database) -> PostgresReadModel:
    return PostgresReadModel(database)


async def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    async with database.transaction() as connection:
        return {
            table: [dict(row) for row in await connection.fetch(f"SELECT * FROM {table} AS t ORDER BY t")]
            for table in TABLES
        }


async def empty(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)}, changes, tasks, told")


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[FileFact], list[list[FileFact]]]:
    """A history, and the same facts shuffled, some of them twice, in batches."""
    facts = draw(histories())
    again = draw(st.lists(st.sampled_from(facts), max_size=8)) if facts else []
    shuffled = list(draw(st.permutations(facts + again)))
    batches: list[list[FileFact]] = []
    while shuffled:
        size = draw(st.integers(1, 6))
        batches.append(shuffled[:size])
        shuffled = shuffled[size:]
    return facts, batches


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_facts=deliveries())
async def test_any_order_duplication_and_batching_gives_the_same_tables(
    database: Database, model: PostgresReadModel, given_facts: tuple[list[FileFact], list[list[FileFact]]]
) -> None:
    facts, batches = given_facts
    await empty(database)
    for fact in facts:
        await model.record([fact])
    expected = await contents(database)
    await empty(database)
    for batch in batches:
        await model.record(batch)

    assert await contents(database) == expected


async def test_replicas_that_take_in_the_same_facts_at_once_count_them_once(
    database: Database, model: PostgresReadModel
) -> None:
    facts: list[FileFact] = [analysed("s1", f"{number}.py", "x", "y") for number in range(60)]
    batches: list[Sequence[FileFact]] = [facts[:40], facts[20:], list(reversed(facts)), facts[10:50]]
    told = await asyncio.gather(*(model.record(batch) for batch in batches))

    async with model.repository(REPOSITORY) as standing:
        assert await standing.heard("s1") == Heard(analysed=60)
        assert len((await standing.snapshot()).problems) == 120
    assert {(change.key, *change.opened) for changes in told for change in changes} == {
        (fact.key, *sorted((fingerprint("x"), fingerprint("y")))) for fact in facts
    }


@pytest.mark.parametrize("turn", range(6))
async def test_replicas_at_different_scans_of_the_same_files_do_not_lose_each_others_word(
    database: Database, model: PostgresReadModel, turn: int
) -> None:
    paths = [f"{number}.py" for number in range(40)]
    scans: list[list[FileFact]] = [
        [analysed("s1", path, "x", "y") for path in paths],
        [analysed("s2", path, "y") for path in paths],
        [analysed("s3", path, "x", "z") for path in reversed(paths)],
    ]
    for scan in scans:
        await model.record(scan)
    expected = await contents(database)
    await empty(database)
    turned = list(itertools.permutations(scans))[turn]
    await asyncio.gather(*(model.record(scan) for scan in turned))

    assert await contents(database) == expected


async def test_a_second_delivery_tells_the_same_again(model: PostgresReadModel) -> None:
    first = await model.record([analysed("s1", "a.py", "x")])
    await model.record([analysed("s2", "a.py", "y")])

    assert await model.record([analysed("s1", "a.py", "x")]) == first


async def test_a_file_without_changes_tells_nothing(model: PostgresReadModel) -> None:
    await model.record([analysed("s1", "a.py", "x")])

    assert await model.record([analysed("s2", "a.py", "x")]) == []


async def test_skipped_and_removed_files_are_counted_apart_from_analysed_ones(model: PostgresReadModel) -> None:
    await model.record([analysed("s1", "b.py", was="a.py"), removed("s1", "a.py", to="b.py"), skipped("s1", "c.py")])

    async with model.repository(REPOSITORY) as standing:
        assert await standing.heard("s1") == Heard(analysed=1, passed=2)


async def test_findings_come_worst_first_then_by_path_and_line(model: PostgresReadModel) -> None:
    await model.record(
        [
            analysed("s1", "b.py", a_finding("1", severity=Severity.LOW), a_finding("2", start_line=9, end_line=9)),
            analysed("s1", "a.py", a_finding("3"), a_finding("4", severity=Severity.CRITICAL)),
        ]
    )
    found, total = await model.list_findings(ListFindings(repository_id=REPOSITORY), after=None)

    assert total == 4
    assert [(each.finding.severity, each.path, each.finding.start_line) for each in found] == [
        ("critical", "a.py", 3),
        ("medium", "a.py", 3),
        ("medium", "b.py", 9),
        ("low", "b.py", 3),
    ]


async def test_findings_are_filtered_by_severity_category_and_path(model: PostgresReadModel) -> None:
    await model.record(
        [
            analysed("s1", "app/a.py", a_finding("1"), a_finding("2", category=Category.SECURITY)),
            analysed("s1", "app/b.py", a_finding("3", severity=Severity.LOW, category=Category.SECURITY)),
            analysed("s1", "lib/c.py", a_finding("4", category=Category.SECURITY)),
        ]
    )
    question = ListFindings(
        repository_id=REPOSITORY, severities=[Severity.MEDIUM], categories=[Category.SECURITY], path_prefix="app/"
    )
    found, total = await model.list_findings(question, after=None)

    assert (total, [each.finding.fingerprint for each in found]) == (1, [fingerprint("2")])


async def test_characters_that_postgresql_cannot_hold_are_left_out(model: PostgresReadModel) -> None:
    await model.record([analysed("s1", "a.py", a_finding("1", title="a\0b", symbol="\0"), language="x\0")])
    found, _ = await model.list_findings(ListFindings(repository_id=REPOSITORY), after=None)

    assert len(found) == 1


async def test_a_path_longer_than_an_index_entry_is_kept_whole(model: PostgresReadModel) -> None:
    path = "/".join(["directory"] * 400)
    await model.record([analysed("s1", path, "x")])
    found, _ = await model.list_findings(ListFindings(repository_id=REPOSITORY), after=None)

    assert found[0].path == path
