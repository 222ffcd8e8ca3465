"""How complex and how maintainable a file is, each as one figure from 0 to 100.

Complexity: ``70 · (1 − e^(−(worst − 1) / 25)) + 30 · (1 − e^(−density / 20))``, where *worst* is the highest McCabe
complexity of a function and *density* the decisions per hundred lines that are not blank. McCabe's own limit of 10
gives about 21 points, the 50 that the SEI calls untestable about 60.

Maintainability: the index of Oman and Hagemeister as the SEI took it over (C4 Software Technology Reference Guide,
1997), rescaled to 0 to 100 as Visual Studio does:
``max(0, (171 − 5.2 ln V − 0.23 G − 16.2 ln L) · 100 / 171)`` with V the Halstead volume (tokens · log₂ distinct
tokens), G the complexity and L the lines of a unit. A unit is an outermost function, or all that is outside of
functions; the file's figure is their mean weighted by lines, so that one bad function in ten good ones shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, log2


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the maintainability index asks of a unit."""

    lines: int
    complexity: int
    tokens: int
    distinct: int


def complexity_score(*, worst: int, decisions: int, lines: int) -> int:
    density = 100 * decisions / max(lines, 20)
    return min(100, round(70 * (1 - exp(-max(0, worst - 1) / 25)) + 30 * (1 - exp(-density / 20))))


def maintainability_score(units: Iterable[Measured]) -> int:
    measured = [unit for unit in units if unit.lines and unit.tokens]
    total = sum(unit.lines for unit in measured)
    if not total:
        return 100
    return round(sum(_index(unit) * unit.lines for unit in measured) / total)


def _index(unit: Measured) -> float:
    volume = max(1.0, unit.tokens * log2(max(2, unit.distinct)))
    raw = 171 - 5.2 * log(volume) - 0.23 * unit.complexity - 16.2 * log(unit.lines)
    return min(100.0, max(0.0, raw * 100 / 171))
