"""Large files are cut where symbols begin, and nothing of them is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.model.pieces import split, weight

some_lines = st.lists(
    st.sampled_from(["", "import os", "def f():", "    return 1", "class A:", "x" * 300]), max_size=120
)


@given(some_lines, st.integers(1, 2_000))
def test_each_line_is_in_exactly_one_piece(lines: list[str], most: int) -> None:
    pieces = split(lines, most=most)

    assert [number for piece in pieces for number in piece.lines] == list(range(1, len(lines) + 1))


@given(some_lines, st.integers(320, 2_000))
def test_no_piece_is_larger_than_asked_with_its_header(lines: list[str], most: int) -> None:
    for piece in split(lines, most=most):
        size = sum(weight(lines[number - 1]) for number in piece.shown)

        assert size <= most or len(piece.lines) == 1


@given(some_lines.filter(bool), st.integers(1, 2_000), st.data())
def test_a_piece_can_be_cut_again(lines: list[str], most: int, data: st.DataObject) -> None:
    piece = data.draw(st.sampled_from(split(lines, most=most)))

    parts = split(lines, most=max(1, most // 2), whole=piece.lines)

    assert [number for part in parts for number in part.lines] == list(piece.lines)


def test_cuts_lie_before_functions_not_inside_them() -> None:
    function = ["def f(x):", "    a = x", "", "    return a", "", ""]
    lines = ["import os", "", *(function * 50)]

    pieces = split(lines, most=400)

    assert len(pieces) > 2
    assert {lines[piece.start - 1] for piece in pieces[1:]} == {"def f(x):"}


def test_the_imports_come_with_each_later_piece() -> None:
    lines = ["#!/usr/bin/env python", "import os", "from a import b", "", *["x = 1"] * 200]

    first, second, *_ = split(lines, most=600)

    assert (first.header, second.header) == ((), (1, 2, 3))
    assert {1, 2, 3, second.start} <= second.shown


def test_a_line_longer_than_a_piece_is_a_piece_of_its_own() -> None:
    pieces = split(["a", "b" * 500, "c"], most=100)

    assert [(piece.start, piece.end) for piece in pieces] == [(1, 1), (2, 2), (3, 3)]
