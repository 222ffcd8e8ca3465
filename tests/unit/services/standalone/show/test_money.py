"""Money for people: exact, never zero when it is not, and refused when it is no amount."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.standalone.show.money import TICKS_PER_USD, dollars, ticks_of, usd

TICKS = st.integers(0, 10**18)


@pytest.mark.parametrize(
    ("ticks", "shown"),
    [
        (0, "$0.0000"),
        (17_000_000, "$0.0017"),
        (5_314_000_000, "$0.5314"),
        (1, "$0.0000000001"),
        (499_999, "$0.0000499999"),
        (12_345 * TICKS_PER_USD, "$12,345.0000"),
    ],
)
def test_ticks_as_a_person_reads_them(ticks: int, shown: str) -> None:
    assert dollars(ticks) == shown


@given(TICKS)
def test_what_is_not_zero_never_shows_as_zero(ticks: int) -> None:
    shown = Decimal(dollars(ticks).removeprefix("$").replace(",", ""))

    assert (shown == 0) == (ticks == 0)
    assert abs(shown * TICKS_PER_USD - ticks) <= TICKS_PER_USD / 20_000


@given(TICKS)
def test_an_amount_typed_in_full_is_read_to_the_tick(ticks: int) -> None:
    assert ticks_of(f"${Decimal(ticks) / TICKS_PER_USD:f}") == ticks


@pytest.mark.parametrize("text", ["", "$", "cheap", "-1", "nan", "inf", "1e99", "0.00000000001", "1,5"])
def test_what_is_no_amount_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ValueError, match="dollars") as refusal:
        ticks_of(text)

    assert repr(text) in str(refusal.value)


def test_json_gets_a_number() -> None:
    assert usd(5_314_000_000) == 0.5314
