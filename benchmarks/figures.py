"""A figure that was measured: its runs, what it has to reach, and how a table shows it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a figure has to reach at least, and what it aims at; less is better unless ``more`` says otherwise."""

    least: float
    aim: float
    more: bool = False

    def verdict(self, value: float) -> str:
        if self._reaches(value, self.aim):
            return "aim"
        return "target" if self._reaches(value, self.least) else "MISSED"

    def _reaches(self, value: float, bound: float) -> bool:
        return value >= bound if self.more else value <= bound


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table; ``detail`` is for whoever wants to know where it comes from."""

    what: str
    unit: str
    runs: Sequence[float]
    target: Target | None = None
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def verdict(self) -> str:
        return self.target.verdict(self.median) if self.target else ""

    def as_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "unit": self.unit,
            "median": round(self.median, 4),
            "runs": [round(run, 4) for run in self.runs],
            "least": self.target and self.target.least,
            "aim": self.target and self.target.aim,
            "verdict": self.verdict,
            "detail": self.detail,
        }


HEADINGS = ("what", "median", "", "least", "aim", "reached", "runs")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table that reads well as plain text too."""
    rows = [HEADINGS, *map(_cells, figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    least, aim = (_short(figure.target.least), _short(figure.target.aim)) if figure.target else ("", "")
    runs = " ".join(map(_short, sorted(figure.runs)))
    return (figure.what, _short(figure.median), figure.unit, least, aim, figure.verdict, runs)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
