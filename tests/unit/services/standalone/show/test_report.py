"""The page of a scan, and its one JSON document."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from libs.events.analyzer import Severity
from libs.events.ledger import Coverage
from services.standalone.show.report import Report, as_document, print_report, worst_at_or_above
from tests.unit.services.standalone.show.scene import a_finding, a_report, a_task


def page(report: Report, *, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    print_report(console, report)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_page_says_which_repository_what_to_do_and_what_was_covered() -> None:
    task = a_task("t1", "Use mkstemp() in app.py", description="mktemp() can be raced.\n\nMore.", files=["app.py"])

    assert page(a_report(task), width=200) == [
        "",
        "/src/shop · main · c0ffeec0ffee",
        "Three files.",
        "",
        "Seen across the project",
        "   12 × Bare except in 9 files",
        "",
        "  1. high     Use mkstemp() in app.py",
        "              mktemp() can be raced",
        "              1.5 h · security · t1",
        "",
        "4 files listed (everything: the first scan) · 3 analysed · 1 skipped (1 binary) · cost $0.0000 · 2.5 s · s1",
    ]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_long_lines_hang_below_their_beginning_and_none_is_too_wide(width: int) -> None:
    task = a_task("t1", "Use mkstemp() " * 6, description="Raced " * 60, files=["a" * 60, "b" * 60, "c"])
    lines = page(a_report(task), width=width)
    start = next(number for number, line in enumerate(lines) if line.startswith("  1."))
    rest = lines[start + 1 : lines.index("", start)]

    assert max(map(len, lines)) <= width
    assert all(line.startswith(" " * 14) and line[14] != " " for line in rest)
    assert sum("Raced" in line for line in rest) == 1
    assert not [line for line in lines if line != line.rstrip()]


def test_what_the_title_says_already_is_not_said_again() -> None:
    task = a_task("t1", "Put raise before it: exception made in tests/", description="Exception made.\n\nMore.")

    assert not [line for line in page(a_report(task)) if line.strip() == "Exception made"]


def test_tasks_beyond_a_page_are_counted_and_reachable() -> None:
    tasks = [a_task(f"t{number}", f"Do {number}", depends_on=["t0"] if number == 2 else []) for number in range(15)]
    lines = page(a_report(*tasks))

    assert "   … and 3 more: strandline tasks shop-1" in lines
    assert "              1.5 h · security · after 1 · t2" in lines


def test_what_failed_or_was_not_reached_is_told() -> None:
    lines = page(a_report(coverage=Coverage(analysed=1, failed=2, unreached=3, total=6)), width=200)

    assert "1 analysed · 2 failed · 3 unreached" in lines[-1]
    assert "No tasks: nothing was found that needs work." in lines


def test_hostile_words_are_shown_not_obeyed() -> None:
    lines = page(a_report(a_task("t1", "Mend \x1b[2J[bold]x[/] in a\nb.py")), width=200)

    assert "  1. high     Mend \\x1b[2J[bold]x[/] in a\\nb.py" in lines


def test_the_document_is_json_whatever_is_in_it() -> None:
    hostile = a_report(a_task("t1", "\x00\x1b\u2028 ünï"), findings=[a_finding(Severity.LOW, 'a"\n\x7f.py')])
    document = json.loads(json.dumps(as_document(hostile)))

    assert document["findings"][0]["path"] == 'a"\n\x7f.py'
    assert document["coverage"]["skipped"] == {"binary": 1}
    assert document["cost"]["ticks"] == 0


@pytest.mark.parametrize(("gate", "failing"), [(Severity.CRITICAL, 0), (Severity.HIGH, 1), (Severity.LOW, 2)])
def test_a_gate_fails_for_what_is_as_severe_or_worse(gate: Severity, failing: int) -> None:
    findings = [a_finding(Severity.HIGH), a_finding(Severity.LOW)]

    assert len(worst_at_or_above(findings, gate)) == failing
