"""What may be set aside, and what a report makes of it, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.events.analyzer import Cost
from libs.events.ledger import BudgetWarned
from services.ledger.domain.money import Account, SetAside, account_ids, book, decide, dollars, set_budget, settle
from services.ledger.domain.outcomes import SpendingReport
from services.ledger.domain.scans import Scan

DAY = date(2026, 11, 22)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TICKS = st.integers(0, 1000)


def a_scan(budget: int | None = None, **more: object) -> Scan:
    return Scan(scan_id="s", repository_id="r", raised_budget_ticks=budget, **more)  # type: ignore[arg-type]


def an_account(committed: int, budget: int | None) -> Account:
    return Account(scope="global", id="", period="2026-11", committed_ticks=committed, budget_ticks=budget)


def a_report(ticks: int, attempts: int = 1) -> SpendingReport:
    return SpendingReport(
        file=("s", "k"),
        path="p",
        repository_id="r",
        origin="analyzed",
        stage="analysis",
        attempts=attempts,
        cost=Cost(ticks=ticks, source="billed"),
        model="m",
        tokens=1,
        calls=1,
    )


def set_asides(*attempts: tuple[int, int]) -> list[SetAside]:
    return [
        SetAside(file=("s", "k"), stage="analysis", attempt=attempt, repository_id="r", ticks=ticks, day=DAY)
        for attempt, ticks in attempts
    ]


@given(committed=TICKS, budget=TICKS, own=TICKS, ticks=TICKS)
def test_what_is_granted_fits_into_every_budget(committed: int, budget: int, own: int, ticks: int) -> None:
    decision = decide(a_scan(own), [an_account(committed, budget)], ticks)

    scan, _ = decision.change
    assert decision.granted == (ticks <= own and committed + ticks <= budget)
    assert scan.reserved_ticks == (ticks if decision.granted else 0)


def test_a_refusal_says_which_budget_lacks_what() -> None:
    decision = decide(a_scan(10**12), [an_account(9 * 10**10, 10**11)], 2 * 10**10)

    assert decision.lacking == (
        "the monthly budget of all repositories of $10.0000 has $1.0000 left, and this call may cost $2.0000"
    )


def test_a_budget_that_refuses_counts_as_used_up() -> None:
    scan, facts = decide(a_scan(100, settled_ticks=60, warned_percent=50, warned=1), [], 50).change

    assert [(f.number, f.percent) for f in facts if isinstance(f, BudgetWarned)] == [(2, 80), (3, 100)]
    assert decide(scan, [], 50).change[1] == ()


def test_a_raised_budget_warns_anew_of_what_it_moved_out_of_reach() -> None:
    scan = set_budget(a_scan(100, settled_ticks=60, warned_percent=100, warned=3), 200)
    _, facts = decide(scan, [], 50).change

    assert [(f.number, f.percent) for f in facts if isinstance(f, BudgetWarned)] == [(4, 50)]


@given(
    grants=st.lists(TICKS.filter(bool), max_size=5),
    reported=st.integers(0, 6),
    share=st.integers(0, 100),
)
def test_a_report_never_commits_more_than_was_set_aside(grants: list[int], reported: int, share: int) -> None:
    reserved = set_asides(*enumerate(grants))
    spoken_for = grants[len(grants) - min(reported, len(grants)) :]
    settlement = settle(a_report(sum(spoken_for) * share // 100, reported), reserved, today=DAY)
    before = a_scan(reserved_ticks=sum(grants))
    after = book(before, settlement)

    assert after.reserved_ticks == 0
    assert after.committed_ticks <= before.committed_ticks
    assert after.presumed_ticks == sum(grants) - sum(spoken_for)


def test_money_counts_on_the_day_it_was_set_aside() -> None:
    settlement = settle(a_report(5), set_asides((1, 9)), today=date(2026, 12, 1))

    assert [entry.day for entry in settlement.entries] == [DAY]


def test_accounts_are_locked_in_one_order() -> None:
    assert account_ids("r", DAY) == sorted(account_ids("r", DAY))


def test_dollars_show_four_digits() -> None:
    assert dollars(14_200_000) == "$0.0014"
