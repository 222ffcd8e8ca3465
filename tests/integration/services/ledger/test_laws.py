"""The two laws of the ledger: any deliveries give the same books, and no interleaving passes a budget."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.bus.api import Retry
from libs.db.database import Database
from libs.events.differ import FileFact, SkipReason
from libs.events.envelope import Fact
from libs.events.ledger import BudgetWarned, ScanCompleted, ScanHalted
from libs.questions.ledger import GetProgress, ListAccounted, Progress, ResumeScan
from services.ledger.handlers import Desk, account_facts, get_progress, list_accounted, reserve, resume_scan
from services.ledger.store.books import PostgresBooks
from tests.integration.services.ledger.scene import (
    Clock,
    MortalBus,
    PublishingFailed,
    analysed,
    deliveries,
    failed,
    removed,
    requested,
    reused,
    skipped,
    started,
    wants,
)

TIMES: set[str] = {"completed_at", "scan_id"}
SUMS = """
SELECT coalesce(sum(ticks) FILTER (WHERE source <> 'presumed'), 0)::bigint,
       coalesce(sum(ticks) FILTER (WHERE source = 'presumed'), 0)::bigint FROM entries WHERE scan_id = $1
"""
_numbers = itertools.count(1)
with_servers = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def a_fact(scan: str, number: int, kind: int) -> FileFact:
    path = f"file-{number}"
    makers: list[FileFact] = [
        analysed(path, scan=scan, ticks=number, tokens=10 * number),
        analysed(path, scan=scan),
        reused(path, scan=scan, saved=number),
        failed(path, scan=scan),
        skipped(path, SkipReason.GENERATED, scan=scan),
        skipped(path, scan=scan),
        removed(path, scan=scan),
    ]
    return makers[kind]


def a_scan(scan: str, kinds: list[int]) -> list[Fact]:
    files = [a_fact(scan, number, kind) for number, kind in enumerate(kinds)]
    return [requested(scan=scan, budget=10**6), started(len(kinds), scan=scan), *files]


async def deliver(desk: Desk, batch: list[Fact]) -> None:
    """As a bus does: again, for as long as it is handed back or dies."""
    while True:
        try:
            return await account_facts(desk, deliveries(*batch))
        except (Retry, PublishingFailed):
            continue


async def read_model(desk: Desk, scan: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    progress = await get_progress(desk, GetProgress(scan_id=scan))
    files = (await list_accounted(desk, ListAccounted(scan_id=scan))).files
    assert [file.ordinal for file in files] == list(range(1, len(files) + 1))
    assert not files or files[-1].total_ticks == progress.settled_ticks
    rows = sorted((f.path, f.outcome, f.reason, f.cost_ticks, f.tokens) for f in files)
    return progress.model_dump(exclude=TIMES), rows


@given(data=st.data(), kinds=st.lists(st.integers(0, 6), max_size=12), replicas=st.integers(1, 3))
@with_servers
async def test_any_order_duplication_and_batching_gives_the_same_books(
    database: Database, data: st.DataObject, kinds: list[int], replicas: int
) -> None:
    desk = Desk(books=PostgresBooks(database), bus=MortalBus(), clock=Clock())
    plain, shaken = f"plain-{next(_numbers)}", f"shaken-{next(_numbers)}"
    await account_facts(desk, deliveries(*a_scan(plain, kinds)))
    facts = a_scan(shaken, kinds)
    repeats = data.draw(st.lists(st.sampled_from(facts), max_size=8), label="repeats")
    order = data.draw(st.permutations(facts + repeats), label="order")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=6), label="cuts"))
    batches = [order[a:b] for a, b in itertools.pairwise([0, *cuts, len(order)]) if a < b]
    bus = MortalBus(failures=data.draw(st.integers(0, 3), label="crashes"))
    shaking = Desk(books=PostgresBooks(database), bus=bus, clock=Clock())

    async def replica(index: int) -> None:
        for batch in batches[index::replicas]:
            await deliver(shaking, batch)

    await asyncio.gather(*(replica(index) for index in range(replicas)))

    assert await read_model(shaking, shaken) == await read_model(desk, plain)
    (completed,) = bus.published(ScanCompleted)
    coverage = completed.coverage
    parts = coverage.analysed + coverage.reused + sum(coverage.skipped.values()) + coverage.failed + coverage.unreached
    assert parts == coverage.total == len(kinds)


STEPS = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 3), st.integers(1, 60)),
    st.tuples(st.just("settle"), st.integers(0, 3), st.integers(0, 100)),
    st.tuples(st.just("crash"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("raise"), st.integers(0, 3), st.integers(0, 150)),
)


@given(steps=st.lists(STEPS, max_size=25), budget=st.integers(0, 120))
@with_servers
async def test_no_interleaving_of_reports_and_crashes_passes_a_budget(
    database: Database, steps: list[tuple[str, int, int]], budget: int
) -> None:
    bus, scan = MortalBus(), f"spent-{next(_numbers)}"
    desk = Desk(books=PostgresBooks(database), bus=bus, clock=Clock())
    await account_facts(desk, deliveries(started(99, scan=scan, budget=budget)))
    granted: dict[str, int] = {}
    for attempt, (step, file, figure) in enumerate(steps, start=1):
        path = f"file-{file}"
        if step == "reserve" and (await reserve(desk, wants(path, figure, attempt=attempt, scan=scan))).granted:
            granted[path] = figure
        elif step == "settle":
            spent = granted.pop(path, 0) * figure // 100
            await deliver(desk, [analysed(path, scan=scan, ticks=spent, tokens=1)])
        elif step == "crash":
            granted.pop(path, None)
        elif step == "raise":
            budget = max(budget, figure)
            await resume_scan(desk, ResumeScan(scan_id=scan, budget_ticks=budget))
        shown = await get_progress(desk, GetProgress(scan_id=scan))
        assert shown.settled_ticks + shown.presumed_ticks + shown.reserved_ticks <= budget

    await check_sums(database, shown if steps else await get_progress(desk, GetProgress(scan_id=scan)))
    for told in (ScanHalted, BudgetWarned):
        numbers = [fact.number for fact in bus.published(told)]
        assert numbers == list(range(1, len(numbers) + 1))


async def check_sums(database: Database, shown: Progress) -> None:
    async with database.transaction() as connection:
        sums = await connection.fetchrow(SUMS, shown.scan_id)
    assert sums is not None
    assert (shown.settled_ticks, shown.presumed_ticks) == tuple(sums)


@pytest.mark.parametrize("seed", range(3))
async def test_many_connections_that_reserve_and_report_at_once_stay_within_the_budget(
    desk: Desk, database: Database, seed: int
) -> None:
    await desk.books.set_budgets({("global", "", "day"): 900})
    names = [f"scan-{seed}-{number}" for number in range(3)]
    await account_facts(desk, deliveries(*(started(99, scan=name, budget=400) for name in names)))
    seen: list[int] = []

    async def watch() -> None:
        async with database.transaction() as connection:
            seen.append(await connection.fetchval(COMMITTED) or 0)

    async def work(name: str, number: int) -> None:
        path = f"file-{number}"
        reservation = await reserve(desk, wants(path, 40, scan=name))
        await watch()
        if reservation.granted and (number + seed) % 3:
            others = [analysed(path, scan=other) for other in names if other != name]
            await deliver(desk, [*others, analysed(path, scan=name, ticks=number, tokens=1)])

    await asyncio.gather(*(work(name, number) for number in range(15) for name in names))

    assert max(seen) <= 900
    for name in names:
        await check_sums(database, await get_progress(desk, GetProgress(scan_id=name)))


COMMITTED = """
SELECT max(settled_ticks + presumed_ticks + reserved_ticks)::bigint FROM accounts
WHERE scope = 'global' AND length(period) = 10
"""
