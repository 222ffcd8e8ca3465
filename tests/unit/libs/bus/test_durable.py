"""The in-memory stream matches subjects as nats-server does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.bus.durable import matches

TOKENS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("scan.*.s.file.queued.*", "scan.r.s.file.queued.k", True),
        ("scan.*.s.file.queued.*", "scan.r.t.file.queued.k", False),
        ("scan.*.s.file.queued.*", "scan.r.s.file.queued", False),
        ("scan.*.s.file.queued.*", "scan.r.s.file.queued.k.l", False),
        ("scan.>", "scan.r", True),
        ("scan.>", "scan", False),
        ("scan.*.*.file.>", "scan.r.s.file.queued.k", True),
        (">", "anything", True),
    ],
)
def test_patterns(pattern: str, subject: str, fits: bool) -> None:
    assert matches(pattern, subject) is fits


@given(TOKENS, st.data())
def test_any_token_may_be_a_star_and_any_tail_an_arrow(tokens: list[str], data: st.DataObject) -> None:
    starred = [data.draw(st.sampled_from(["*", token])) for token in tokens]
    cut = data.draw(st.integers(0, len(tokens) - 1))

    assert matches(".".join(starred), ".".join(tokens))
    assert matches(".".join([*starred[:cut], ">"]), ".".join(tokens))
