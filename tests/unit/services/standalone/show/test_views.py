"""Progress in a log and at a terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from libs.events.ledger import Coverage
from libs.questions.analyzer import FileInHand
from libs.questions.ledger import AccountedFile, Progress
from services.standalone.show.views import LineView, LiveView
from tests.unit.services.standalone.show.scene import MOMENT


def progress(accounted: int = 0, total: int = 936, **more: Any) -> Progress:
    coverage = Coverage(analysed=accounted, unreached=total - accounted, total=total, reused=more.pop("reused", 0))
    started = {"state": "running", "started_at": MOMENT, **more}
    return Progress(scan_id="s1", repository_id="shop", accounted=accounted, coverage=coverage, **started)


def a_file(ordinal: int, path: str, **more: Any) -> AccountedFile:
    return AccountedFile(
        ordinal=ordinal, key="0" * 16, path=path, **{"outcome": "analysed", "engine": "static", **more}
    )


def lines_of(*files: AccountedFile, label: str = "") -> list[str]:
    stream = io.StringIO()
    view = LineView(stream)
    view.label(label)
    view.progress(progress())
    view.files(files)
    view.close()
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_for_each_file_with_source_path_cost_tokens_and_total() -> None:
    money = {"cost_ticks": 17_000_000, "tokens": 1234, "total_ticks": 5_314_000_000}

    assert lines_of(
        a_file(41, "src/a b.py", engine="grok-4", **money),
        a_file(42, "src/b.py", outcome="reused", total_ticks=5_314_000_000),
        a_file(43, "logo.png", outcome="skipped", reason="binary", total_ticks=5_314_000_000),
    ) == [
        "[41/936] grok-4 src/a b.py $0.0017 1,234 tok total $0.5314",
        "[42/936] cache src/b.py $0.0000 0 tok total $0.5314",
        "[43/936] skipped logo.png (binary) $0.0000 0 tok total $0.5314",
    ]


def test_a_line_says_whose_it_is_while_there_are_others() -> None:
    assert lines_of(a_file(1, "a.py"), label="shop-1")[0].startswith("shop-1 [1/936] static a.py")


def test_a_path_cannot_write_a_line_of_its_own() -> None:
    (line,) = lines_of(a_file(1, "a\n[2/936] static b.py\x1b[2J"))

    assert "a\\n[2/936] static b.py\\x1b[2J" in line


def test_files_that_come_before_the_total_is_known_wait_for_it() -> None:
    stream = io.StringIO()
    view = LineView(stream)
    view.files([a_file(1, "a.py")])
    before = stream.getvalue()
    view.progress(progress())

    assert (before, stream.getvalue().startswith("[1/936]")) == ("", True)


def test_the_bar_shows_how_far_what_is_in_hand_and_what_it_costs() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    view = LiveView(console)
    view.close()
    view.progress(progress(287, reused=12, settled_ticks=5_314_000_000, budget_ticks=2 * 10**10))
    view.in_hand([FileInHand(scan_id="s1", path="src/slow.py", seconds=12.3)])
    console.print(view.render())
    shown = console.file.getvalue()  # type: ignore[attr-defined]

    assert "[287/936] 30.7 %" in shown
    assert "12 from cache" in shown
    assert "$0.5314 of $2.00" in shown
    assert "12.3 s  src/slow.py" in shown
