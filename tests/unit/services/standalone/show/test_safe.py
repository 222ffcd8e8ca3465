"""Foreign text cannot steer a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from services.standalone.show.safe import safe


@given(st.text())
def test_nothing_that_moves_a_cursor_or_turns_text_around_is_left(text: str) -> None:
    shown = safe(text)

    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_escapes_can_be_read() -> None:
    assert safe("a\nb\x1b[31m‮") == "a\\nb\\x1b[31m\\u202e"
