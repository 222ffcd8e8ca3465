"""Token counts are high enough for reservations, and learn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.model.tokens import ENOUGH, TokenCounter, likely_tokens


def test_a_quote_knows_how_dense_a_kind_of_file_is() -> None:
    assert likely_tokens(4_800, ".json") > likely_tokens(4_800, "py") > 1_000
    assert likely_tokens(4_000, "unheard-of") == 1_000


@given(st.text(max_size=200))
def test_before_anything_is_known_a_count_is_twice_the_ordinary_one(text: str) -> None:
    assert TokenCounter().count(text) >= len(text.encode("utf-8", "surrogatepass")) / 2


@given(st.lists(st.tuples(st.integers(400, 100_000), st.floats(0.1, 1.5)), min_size=1, max_size=80))
def test_a_text_like_one_that_was_reported_is_never_counted_too_low(reports: list[tuple[int, float]]) -> None:
    counter = TokenCounter()
    for size, density in reports:
        counter.learn(size, int(size * density))

    size, density = max(reports, key=lambda report: report[1])
    assert counter.count("x" * size) >= int(size * density)


def test_reports_make_the_count_closer() -> None:
    counter = TokenCounter()
    before = counter.count("x" * 4_000)
    for _ in range(ENOUGH):
        counter.learn(4_000, 1_000)

    assert 1_000 <= counter.count("x" * 4_000) < before


def test_a_report_of_nothing_teaches_nothing() -> None:
    counter = TokenCounter()
    counter.learn(0, 5)
    counter.learn(5, 0)

    assert counter.count("x" * 40) == 21
