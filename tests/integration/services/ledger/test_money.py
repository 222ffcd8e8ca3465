"""Reservations, entries and budgets under concurrency, crashes and a person's word."""

from __future__ import annotations

import asyncio

import pytest

from libs.bus.api import Refused
from libs.db.database import Database
from libs.events.analyzer import Cost, Usage
from libs.events.ledger import BudgetWarned, ScanCompleted, ScanHalted, ScanResumed
from libs.questions.ledger import CancelScan, CostReport, GetCost, GetProgress, PauseScan, Progress, Reserve, ResumeScan
from services.ledger.handlers import (
    Desk,
    account_facts,
    cancel_scan,
    get_cost,
    get_progress,
    pause_scan,
    reserve,
    resume_scan,
)
from tests.integration.services.ledger.scene import (
    NOON,
    REPOSITORY,
    SCAN,
    MortalBus,
    a_review,
    analysed,
    deliveries,
    failed,
    requested,
    reused,
    skipped,
    started,
    wants,
)

SUMS = """
SELECT coalesce(sum(ticks) FILTER (WHERE source <> 'presumed'), 0)::bigint AS settled,
       coalesce(sum(ticks) FILTER (WHERE source = 'presumed'), 0)::bigint AS presumed
FROM entries
"""
ACCOUNTS = "SELECT scope, period, settled_ticks, presumed_ticks, reserved_ticks FROM accounts ORDER BY scope, period"


async def progress(desk: Desk) -> Progress:
    return await get_progress(desk, GetProgress(scan_id=SCAN))


async def money(desk: Desk) -> tuple[int, int, int]:
    shown = await progress(desk)
    return shown.settled_ticks, shown.presumed_ticks, shown.reserved_ticks


async def cost(desk: Desk, by: str, **more: object) -> CostReport:
    return await get_cost(desk, GetCost.model_validate({"by": by, **more}))


async def test_money_is_set_aside_and_settled_by_the_report(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    granted = await reserve(desk, wants("a", 60))
    before = await money(desk)
    await account_facts(desk, deliveries(analysed("a", ticks=25, tokens=9)))

    assert granted.granted
    assert before == (0, 0, 60)
    assert await money(desk) == (25, 0, 0)


async def test_asking_again_for_the_same_attempt_is_the_same_grant(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    first = await reserve(desk, wants("a", 60))
    await pause_scan(desk, PauseScan(scan_id=SCAN))
    again = await reserve(desk, wants("a", 60))

    assert first == again
    assert await money(desk) == (0, 0, 60)


async def test_an_attempt_is_not_granted_more_than_the_first_time(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    await reserve(desk, wants("a", 10))

    assert not (await reserve(desk, wants("a", 11))).granted


async def test_an_attempt_that_never_reported_stays_booked_at_its_worst_case(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    await reserve(desk, wants("a", 40, attempt=900))
    await reserve(desk, wants("a", 30, attempt=7))
    await account_facts(desk, deliveries(analysed("a", ticks=12, tokens=5)))
    await account_facts(desk, deliveries(analysed("a", ticks=12, tokens=5)))

    assert await money(desk) == (12, 40, 0)
    report = await cost(desk, "file")
    assert [(row.group, row.files, row.ticks, row.presumed_ticks) for row in report.rows] == [("a", 1, 52, 40)]


async def test_a_report_speaks_for_as_many_attempts_as_it_says(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    for attempt in (1, 2, 3):
        await reserve(desk, wants("a", 20, attempt=attempt))
    await account_facts(desk, deliveries(analysed("a", ticks=30, tokens=5, attempts=2)))

    assert await money(desk) == (30, 20, 0)


async def test_a_reused_analysis_speaks_for_no_attempt(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    await reserve(desk, wants("a", 20))
    await account_facts(desk, deliveries(reused("a", saved=9)))

    assert await money(desk) == (0, 20, 0)


async def test_a_failure_that_knows_of_no_call_leaves_the_attempt_presumed(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    await reserve(desk, wants("a", 20))
    await account_facts(desk, deliveries(failed("a")))

    assert await money(desk) == (0, 20, 0)


async def test_a_failure_after_a_call_books_what_it_cost(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2, budget=100)))
    await reserve(desk, wants("a", 20))
    paid = {"cost": Cost(ticks=5, source="priced", model="m"), "usage": Usage(calls=1, attempts=1)}
    await account_facts(desk, deliveries(failed("a").model_copy(update=paid)))

    assert await money(desk) == (5, 0, 0)


async def test_a_file_that_both_failed_and_was_analysed_counts_once_and_books_both(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2)))
    await account_facts(
        desk, deliveries(analysed("a", ticks=3, tokens=1), failed("a").model_copy(update={"cost": Cost(ticks=4)}))
    )

    assert await money(desk) == (7, 0, 0)
    assert (await progress(desk)).accounted == 1


async def test_a_refusal_for_lack_of_money_halts_the_scan_once(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(9, budget=100)))
    await reserve(desk, wants("a", 60))
    refusals = [await reserve(desk, wants(path, 60)) for path in ("b", "c")]

    assert not any(refusal.granted for refusal in refusals)
    assert "the scan's budget of $0.0000" in refusals[0].reason
    assert [(fact.number, fact.reason) for fact in bus.published(ScanHalted)] == [(1, "budget")]
    assert (await progress(desk)).state == "halted"


async def test_a_raised_budget_lets_a_halted_scan_go_on(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(9, budget=100)))
    await reserve(desk, wants("a", 101))
    await resume_scan(desk, ResumeScan(scan_id=SCAN, budget_ticks=200))
    granted = await reserve(desk, wants("a", 101))
    await account_facts(desk, deliveries(requested(budget=1)))

    assert granted.granted
    assert [(fact.number, fact.budget_ticks) for fact in bus.published(ScanResumed)] == [(1, 200)]
    assert (await progress(desk)).budget_ticks == 200


async def test_the_budget_of_the_request_counts_until_the_listing_is_heard(desk: Desk) -> None:
    await account_facts(desk, deliveries(requested(budget=50)))
    granted, before = await reserve(desk, wants("a", 50)), (await progress(desk)).budget_ticks
    await account_facts(desk, deliveries(started(1, budget=70)))

    assert (granted.granted, before, (await progress(desk)).budget_ticks) == (True, 50, 70)


@pytest.mark.parametrize("ticks", [0, 5])
async def test_a_scan_that_nobody_heard_of_gets_no_money_yet(desk: Desk, ticks: int) -> None:
    await account_facts(desk, deliveries(skipped("b")))

    with pytest.raises(Refused) as refusal:
        await reserve(desk, wants("a", ticks))
    assert refusal.value.code == "unknown_scan"


async def test_what_is_free_is_granted_on_a_budget_of_nothing(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(1, budget=0)))

    assert (await reserve(desk, wants("a", 0))).granted
    assert not (await reserve(desk, wants("a", 1))).granted


@pytest.mark.parametrize("ticks", [0, 5])
async def test_a_scan_that_does_not_run_gets_no_money(desk: Desk, ticks: int) -> None:
    await account_facts(desk, deliveries(started(1)))
    await pause_scan(desk, PauseScan(scan_id=SCAN, detail="lunch"))
    halted = await reserve(desk, wants("a", ticks))
    await cancel_scan(desk, CancelScan(scan_id=SCAN))
    cancelled = await reserve(desk, wants("a", ticks))

    assert (halted.granted, halted.reason) == (False, "scan scan-1 is halted: lunch")
    assert (cancelled.granted, cancelled.reason) == (False, "scan scan-1 is cancelled")


async def test_a_file_with_an_outcome_gets_no_money(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(2), analysed("a")))

    assert not (await reserve(desk, wants("a", 5))).granted


async def test_the_review_of_a_completed_scan_gets_money_but_halts_nothing(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(1, budget=10), analysed("a")))
    question = Reserve(repository_id=REPOSITORY, scan_id=SCAN, stage="review", ticks=8)
    granted = await reserve(desk, question)
    refused = await reserve(desk, question.model_copy(update={"attempt": 2}))

    assert (granted.granted, refused.granted) == (True, False)
    assert bus.published(ScanHalted) == []


async def test_what_was_set_aside_for_a_review_is_presumed_spent(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(1), analysed("a")))
    await reserve(desk, Reserve(repository_id=REPOSITORY, scan_id=SCAN, stage="review", ticks=8))
    await account_facts(desk, deliveries(a_review()))

    assert await money(desk) == (0, 8, 0)
    assert [(row.group, row.ticks) for row in (await cost(desk, "stage")).rows] == [("review", 8), ("analysis", 0)]


@pytest.mark.parametrize(
    ("budget", "scope"),
    [
        (("repository", REPOSITORY, "day"), "the repository's daily budget"),
        (("repository", "*", "month"), "the repository's monthly budget"),
        (("global", "", "day"), "the daily budget of all repositories"),
        (("global", "", "month"), "the monthly budget of all repositories"),
    ],
)
async def test_every_budget_can_be_in_the_way(desk: Desk, budget: tuple[str, str, str], scope: str) -> None:
    await desk.books.set_budgets({budget: 100})
    await account_facts(desk, deliveries(started(9), started(9, scan="scan-2")))
    granted = await reserve(desk, wants("a", 60))
    refused = await reserve(desk, wants("b", 60, scan="scan-2"))
    await desk.books.set_budgets({budget: None})
    await resume_scan(desk, ResumeScan(scan_id="scan-2"))

    assert (granted.granted, refused.granted) == (True, False)
    assert scope in refused.reason
    assert (await reserve(desk, wants("b", 60, scan="scan-2"))).granted


async def test_a_repositorys_own_budget_stands_before_the_general_one(desk: Desk) -> None:
    await desk.books.set_budgets({("repository", "*", "day"): 10, ("repository", REPOSITORY, "day"): 100})
    await account_facts(desk, deliveries(started(9)))

    assert (await reserve(desk, wants("a", 60))).granted


async def test_thresholds_are_warned_of_once_each(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(9, budget=100)))
    for path, ticks in (("a", 49), ("b", 1), ("c", 10), ("d", 25), ("e", 15)):
        assert (await reserve(desk, wants(path, ticks))).granted

    warned = [(fact.number, fact.scope, fact.percent, fact.committed_ticks) for fact in bus.published(BudgetWarned)]
    assert warned == [(1, "scan", 50, 50), (2, "scan", 80, 85), (3, "scan", 100, 100)]


async def test_a_budget_of_many_scans_warns_in_the_scan_that_passed_it(desk: Desk, bus: MortalBus) -> None:
    await desk.books.set_budgets({("global", "", "day"): 100})
    await account_facts(desk, deliveries(started(9), started(9, scan="scan-2")))
    await reserve(desk, wants("a", 55))
    await reserve(desk, wants("a", 30, scan="scan-2"))

    warned = [(fact.scan_id, fact.number, fact.percent) for fact in bus.published(BudgetWarned)]
    assert warned == [(SCAN, 1, 50), ("scan-2", 1, 80)]


async def test_no_concurrency_gets_past_a_budget(desk: Desk, bus: MortalBus) -> None:
    await desk.books.set_budgets({("repository", REPOSITORY, "day"): 150})
    await account_facts(desk, deliveries(started(99, budget=100), started(99, scan="scan-2", budget=100)))
    asked = [reserve(desk, wants(f"file-{number}", 7, scan=scan)) for number in range(40) for scan in (SCAN, "scan-2")]
    reservations = await asyncio.gather(*asked)

    granted = sum(reservation.granted for reservation in reservations)
    assert granted == 150 // 7
    assert sorted(fact.scan_id for fact in bus.published(ScanHalted)) == [SCAN, "scan-2"]


async def test_accounts_scans_and_entries_say_the_same(desk: Desk, database: Database) -> None:
    await account_facts(desk, deliveries(started(9, budget=1000)))
    for path in "abcd":
        await reserve(desk, wants(path, 100, attempt=1))
    await reserve(desk, wants("a", 100, attempt=2))
    await account_facts(desk, deliveries(*(analysed(path, ticks=30, tokens=1) for path in "abc")))

    async with database.transaction() as connection:
        sums = await connection.fetchrow(SUMS)
        accounts = await connection.fetch(ACCOUNTS)
    assert sums is not None
    assert await money(desk) == (sums["settled"], sums["presumed"], 100) == (90, 100, 100)
    day, month = NOON.strftime("%Y-%m-%d"), NOON.strftime("%Y-%m")
    expected = [(scope, period, 90, 100, 100) for scope in ("global", "repository") for period in (month, day)]
    assert [tuple(row) for row in accounts] == expected


async def test_free_work_is_counted_but_leaves_no_entry(desk: Desk, database: Database) -> None:
    await account_facts(desk, deliveries(started(2), analysed("a"), skipped("b")))

    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM entries") == 0
    (row,) = (await cost(desk, "model")).rows
    assert (row.group, row.files, row.ticks) == ("static", 1, 0)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("day", ["2026-11-22"]),
        ("week", ["2026-W47"]),
        ("month", ["2026-11"]),
        ("repository", [REPOSITORY]),
        ("scan", ["scan-2", SCAN]),
        ("model", ["grok-4.3", "static"]),
        ("stage", ["analysis"]),
        ("file", ["a", "b", "c"]),
    ],
)
async def test_cost_adds_up_however_it_is_grouped(desk: Desk, by: str, groups: list[str]) -> None:
    await account_facts(desk, deliveries(started(9), started(9, scan="scan-2")))
    await reserve(desk, wants("a", 50, attempt=1))
    await reserve(desk, wants("a", 50, attempt=2))
    facts = [analysed("a", ticks=40, tokens=5), analysed("b", scan="scan-2", ticks=20, tokens=6), reused("c", saved=11)]
    await account_facts(desk, deliveries(*facts))

    report = await cost(desk, by)
    assert [row.group for row in report.rows] == groups
    total = report.total
    assert (total.files, total.calls, total.tokens) == (3, 2, 11)
    assert (total.ticks, total.presumed_ticks, total.saved_ticks) == (110, 50, 11)
    assert sum(row.ticks for row in report.rows) == 110


async def test_groups_beyond_the_limit_are_summed_in_the_last_row(desk: Desk) -> None:
    await account_facts(desk, deliveries(*(analysed(f"f{n}", ticks=n, tokens=1) for n in range(1, 6))))

    report = await cost(desk, "file", limit=3)
    assert [(row.group, row.ticks) for row in report.rows] == [("f5", 5), ("f4", 4), ("(the rest)", 6)]
    assert report.total.ticks == 15


async def test_the_price_of_a_scan_is_final_when_it_is_told(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(2), analysed("a", ticks=30, tokens=1), analysed("b", ticks=3)))

    (completed,) = bus.published(ScanCompleted)
    assert completed.cost_ticks == (await progress(desk)).settled_ticks == 33
