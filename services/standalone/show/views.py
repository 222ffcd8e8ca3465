"""Progress as it happens: a live bar for a terminal, a line per file for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from libs.questions.analyzer import FileInHand
from libs.questions.ledger import AccountedFile, Progress
from services.standalone.show.money import dollars
from services.standalone.show.safe import safe

MOST_IN_HAND = 6
"""Current files that the bar shows."""


class View(Protocol):
    """What following a scan tells its viewer."""

    def label(self, text: str) -> None:
        """Which scan this is, shown from now on; empty while it is the only one."""

    def say(self, text: str) -> None:
        """One sentence for the person."""

    def progress(self, progress: Progress) -> None:
        """The ledger's latest figures."""

    def files(self, files: Sequence[AccountedFile]) -> None:
        """Outcomes counted since the last call."""

    def in_hand(self, files: Sequence[FileInHand]) -> None:
        """What is being analysed just now, the longest first."""

    def close(self) -> None:
        """The scan is over, or the person has left."""


class LineView:
    """A line per file: ``[42/936] static src/x.py $0.0000 0 tok total $0.0000``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label = ""
        self._total = 0
        self._waiting: list[AccountedFile] = []

    def label(self, text: str) -> None:
        self._label = f"{text} " if text else ""

    def say(self, text: str) -> None:
        self._print(text)

    def progress(self, progress: Progress) -> None:
        self._total = progress.coverage.total
        waiting, self._waiting = self._waiting, []
        self.files(waiting)

    def files(self, files: Sequence[AccountedFile]) -> None:
        if not self._total:
            self._waiting += files
            return
        for file in files:
            self._print(self._line(file))

    def in_hand(self, files: Sequence[FileInHand]) -> None:
        pass

    def close(self) -> None:
        self._stream.flush()

    def _line(self, file: AccountedFile) -> str:
        source = {"analysed": file.engine or "engine", "reused": "cache"}.get(file.outcome, file.outcome)
        reason = f" ({file.reason})" if file.reason else ""
        money = f"{dollars(file.cost_ticks)} {file.tokens:,} tok total {dollars(file.total_ticks)}"
        return f"[{file.ordinal}/{self._total}] {source} {safe(file.path)}{reason} {money}"

    def _print(self, text: str) -> None:
        print(f"{self._label}{text}", file=self._stream, flush=True)


class LiveView:
    """A bar that stays in place, with the current files and the figures that matter."""

    def __init__(self, console: Console) -> None:
        self._label = ""
        self._console = console
        self._progress: Progress | None = None
        self._first: tuple[float, int] | None = None
        self._in_hand: Sequence[FileInHand] = ()
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=8, transient=True)
        self._live.start()

    def label(self, text: str) -> None:
        self._label = text

    def say(self, text: str) -> None:
        self._live.console.print(Text(f"{self._label} {text}".strip()))

    def progress(self, progress: Progress) -> None:
        if self._first is None:
            self._first = (time.monotonic(), progress.accounted)
        self._progress = progress

    def files(self, files: Sequence[AccountedFile]) -> None:
        for file in files:
            if file.outcome == "failed":
                self.say(f"failed: {safe(file.path)}: {safe(file.reason)}")

    def in_hand(self, files: Sequence[FileInHand]) -> None:
        self._in_hand = files

    def close(self) -> None:
        self._live.stop()

    def render(self) -> Group:
        """What the bar shows just now."""
        progress = self._progress
        if progress is None or not progress.started_at:
            return Group(Text(f"{self._label} listing the repository …".strip(), style="dim"))
        return Group(self._bar(progress), Text(self._figures(progress), style="dim"), *self._current())

    def _bar(self, progress: Progress) -> Table:
        total, done = progress.coverage.total, progress.accounted
        percent = 100 * done / total if total else 100.0
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(f"{self._label} [{done}/{total}] {percent:.1f} %".strip(), style="bold"),
            ProgressBar(total=max(total, 1), completed=done, width=40),
            Text(progress.state if progress.state != "running" else ""),
        )
        return row

    def _figures(self, progress: Progress) -> str:
        rate = self._rate(progress)
        left = (progress.coverage.total - progress.accounted) / rate if rate else None
        budget = f" of {dollars(progress.budget_ticks, places=2)}" if progress.budget_ticks is not None else ""
        parts = [
            f"{rate:.1f} files/s" if rate else "",
            f"{_span(left)} left" if left is not None else "",
            f"{progress.coverage.reused} from cache" if progress.coverage.reused else "",
            f"{progress.coverage.failed} failed" if progress.coverage.failed else "",
            f"{dollars(progress.settled_ticks)}{budget}",
            progress.halt_reason,
        ]
        return "  ".join(part for part in parts if part)

    def _rate(self, progress: Progress) -> float:
        assert self._first is not None
        since, start = self._first
        elapsed = time.monotonic() - since
        return (progress.accounted - start) / elapsed if elapsed > 0.5 else 0.0

    def _current(self) -> list[Text]:
        return [
            Text(f"  {file.seconds:5.1f} s  {safe(file.path)}", style="dim") for file in self._in_hand[:MOST_IN_HAND]
        ]


def view_for(*, json_output: bool) -> View:
    """The bar where standard error is a terminal, lines otherwise. Progress never goes to standard output."""
    if sys.stderr.isatty() and not json_output:
        return LiveView(Console(stderr=True))
    return LineView(sys.stderr)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
