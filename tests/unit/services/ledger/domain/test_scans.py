"""How a scan halts, ends and adds up, without a database."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.events.ledger import ScanCompleted
from services.ledger.domain.scans import (
    Scan,
    cancel,
    complete_if_counted,
    coverage_of,
    finish,
    halt,
    progress_of,
    resume,
    state_of,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
COUNTS = st.integers(0, 50)


def a_scan(**more: object) -> Scan:
    return Scan(**{"scan_id": "s", "repository_id": "r", **more})  # type: ignore[arg-type]


@given(
    total=st.none() | COUNTS,
    parts=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS),
    end=st.sampled_from([None, cancel, finish]),
)
def test_coverage_always_adds_up(total: int | None, parts: tuple[int, int, int, int], end: object) -> None:
    analysed, reused, failed, binary = parts
    scan = a_scan(
        total=total, accounted=sum(parts), analysed=analysed, reused=reused, failed=failed, skipped={"binary": binary}
    )
    if end is cancel:
        scan, _ = cancel(scan, "", at=NOON)
    elif end is finish:
        scan, _ = finish(scan, at=NOON)

    coverage = coverage_of(scan)
    skipped = sum(coverage.skipped.values())
    assert coverage.analysed + coverage.reused + skipped + coverage.failed + coverage.unreached == coverage.total
    assert coverage.total == max(total or 0, sum(parts))


def test_a_scan_ends_once() -> None:
    ended, facts = complete_if_counted(a_scan(total=1, accounted=1, analysed=1, started_at=NOON), at=NOON)
    again = complete_if_counted(ended, at=NOON)

    assert [type(fact) for fact in facts] == [ScanCompleted]
    assert again == (ended, ())


def test_a_scan_that_is_not_listed_does_not_end() -> None:
    scan = a_scan(accounted=3, analysed=3)

    assert complete_if_counted(scan, at=NOON) == (scan, ())


def test_finishing_what_is_whole_is_complete() -> None:
    ended, _ = finish(a_scan(total=0, started_at=NOON), at=NOON)

    assert ended.status == "complete"


def test_money_presumed_spent_is_part_of_the_price() -> None:
    _, (told,) = finish(a_scan(total=0, settled_ticks=5, presumed_ticks=3, reserved_ticks=9), at=NOON)

    assert isinstance(told, ScanCompleted)
    assert told.cost_ticks == 8


def test_halts_are_numbered_on() -> None:
    scan, _ = halt(a_scan(started_at=NOON), "person", "")
    scan, _ = resume(scan)
    scan, (second,) = halt(scan, "budget", "too dear")

    assert second.subject == "scan.r.s.halted.2"
    assert (state_of(scan), scan.halt_reason) == ("halted", "too dear")


def test_progress_shows_the_last_word_on_the_budget() -> None:
    scan = a_scan(requested_budget_ticks=1, started_budget_ticks=2)

    assert progress_of(scan).budget_ticks == 2
    assert progress_of(a_scan(requested_budget_ticks=1)).budget_ticks == 1
    assert progress_of(a_scan(raised_budget_ticks=0, started_budget_ticks=2)).budget_ticks == 0
