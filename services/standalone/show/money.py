"""Ticks as dollars, for people only."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

TICKS_PER_USD = 10**10


def dollars(ticks: int, *, places: int = 4) -> str:
    """``$0.0017``; what is not zero never shows as zero."""
    amount = Decimal(ticks) / TICKS_PER_USD
    if ticks and abs(amount) < Decimal(1).scaleb(-places):
        return f"${amount:f}"
    return f"${amount:,.{places}f}"


def usd(ticks: int) -> float:
    """The amount as a number of dollars, for JSON; ``ticks`` beside it is exact."""
    return float(Decimal(ticks) / TICKS_PER_USD)


def ticks_of(text: str) -> int:
    """An amount of dollars as typed, in ticks.

    Raises:
        ValueError: it is no amount, negative, or finer than a tick.
    """
    try:
        ticks = Decimal(text.strip().removeprefix("$")) * TICKS_PER_USD
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount of dollars") from None
    if not ticks.is_finite() or ticks < 0 or ticks > 10**18:
        raise ValueError(f"{text!r} is no amount of dollars between 0 and 100 million")
    if ticks != int(ticks):
        raise ValueError(f"{text!r} is finer than 0.0000000001 dollars")
    return int(ticks)
