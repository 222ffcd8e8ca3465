"""The figures of a file follow their formulas."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.static.scores import Measured, complexity_score, maintainability_score

SIZES = st.integers(1, 5000)


def test_the_figures_of_the_documentation_hold() -> None:
    assert complexity_score(worst=10, decisions=0, lines=100) == 21
    assert complexity_score(worst=50, decisions=0, lines=100) == 60
    assert maintainability_score([Measured(lines=20, complexity=5, tokens=100, distinct=32)]) == 52


@given(SIZES, SIZES, SIZES)
def test_scores_stay_within_their_bounds(lines: int, complexity: int, tokens: int) -> None:
    unit = Measured(lines=lines, complexity=complexity, tokens=tokens, distinct=tokens)

    assert 0 <= maintainability_score([unit]) <= 100
    assert 0 <= complexity_score(worst=complexity, decisions=tokens, lines=lines) <= 100


@given(SIZES, SIZES)
def test_more_decisions_never_make_a_file_simpler(worst: int, lines: int) -> None:
    less = complexity_score(worst=worst, decisions=worst, lines=lines)

    assert complexity_score(worst=worst + 5, decisions=worst + 5, lines=lines) >= less
