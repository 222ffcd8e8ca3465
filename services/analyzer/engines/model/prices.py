"""What a call costs, in whole ticks: as billed, else tokens times a dated price. A price unknown is never 0.

Everything is decimal, and what does not come out even is rounded up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any, Protocol

from genai_prices import Usage as NoUsage
from genai_prices import calc_price

from libs.events.analyzer import Cost
from services.analyzer.engines.model.profiles import ModelMisconfigured, Profile
from services.analyzer.engines.model.settings import PREFIX, ModelSettings

TICKS_A_DOLLAR = 10**10
MILLION = 1_000_000
MISCOUNT = 2
HALF_HOUR = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What was used. ``cached`` and ``written`` (to the cache) are parts of the input, ``reasoning`` of the output."""

    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """USD a million tokens, for requests with more than ``above`` input tokens: all of their tokens."""

    above: int = 0
    input: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal
    reasoning: Decimal

    def ticks(self, used: Tokens) -> int:
        """What these tokens cost. A part that is larger than its whole counts as it was reported: never too little."""
        fresh = max(0, used.input - used.cached - used.written)
        spoken = max(0, used.output - used.reasoning)
        dollars = (
            fresh * self.input
            + used.cached * self.cached
            + used.written * self.written
            + spoken * self.output
            + used.reasoning * self.reasoning
        ) / MILLION
        return to_ticks(dollars)

    def most(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that a request of this size costs."""
        dearest_in = max(self.input, self.cached, self.written)
        dearest_out = max(self.output, self.reasoning)
        return to_ticks((input_tokens * dearest_in + output_tokens * dearest_out) / MILLION)


Tariff = tuple[Rates, ...]
"""The rates of one model at one time, from the smallest requests up."""


class Prices(Protocol):
    """The prices of one model."""

    def cost(self, used: Tokens, *, billed: int | None) -> Cost:
        """What a reply cost."""

    def most_ticks(self, *, input_tokens: int, output_tokens: int) -> int:
        """What no reply of this size costs more than."""


def to_ticks(dollars: Decimal) -> int:
    """Whole ticks, rounded up."""
    return int((dollars * TICKS_A_DOLLAR).to_integral_value(ROUND_CEILING))


def price_of(tariff: Tariff, used: Tokens) -> int:
    """The whole request at the rates its input reaches."""
    reached = [rates for rates in tariff if rates.above == 0 or used.input > rates.above]
    return reached[-1].ticks(used)


def most_of(tariff: Tariff, *, input_tokens: int, output_tokens: int) -> int:
    """At the dearest rates within reach, even of a request that was counted at half its size."""
    reached = [rates for rates in tariff if rates.above == 0 or MISCOUNT * input_tokens > rates.above]
    return max(rates.most(input_tokens=input_tokens, output_tokens=output_tokens) for rates in reached)


@dataclass(frozen=True, kw_only=True)
class TablePrices:
    """``tariff_at`` is asked for the half hour: tables are dated, and some providers are cheaper at night."""

    model: str
    tariff_at: Callable[[datetime], Tariff]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def cost(self, used: Tokens, *, billed: int | None) -> Cost:
        if billed is not None:
            return Cost(ticks=billed, source="billed", model=self.model)
        ticks = price_of(self.tariff_at(self._half_hour()), used)
        return Cost(ticks=ticks, source="priced" if ticks else "free", model=self.model)

    def most_ticks(self, *, input_tokens: int, output_tokens: int) -> int:
        start = self._half_hour()
        coming = [self.tariff_at(start + count * HALF_HOUR) for count in range(3)]
        return max(most_of(tariff, input_tokens=input_tokens, output_tokens=output_tokens) for tariff in coming)

    def _half_hour(self) -> datetime:
        now = self.now()
        return now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0)


def find_prices(profile: Profile, settings: ModelSettings) -> TablePrices:
    """Ours where one is set, else the table's, else 0 for a local address.

    Raises:
        ModelMisconfigured: nobody knows what the model costs.
    """
    if settings.price_input is not None or settings.price_output is not None:
        tariff = _override(settings)
        return TablePrices(model=profile.model, tariff_at=lambda at: tariff)
    table = _Table(profile)
    if table.knows():
        return TablePrices(model=profile.model, tariff_at=lru_cache(maxsize=8)(table.tariff_at))
    if profile.is_local:
        return TablePrices(model=profile.model, tariff_at=lambda at: (_flat(*[Decimal(0)] * 3),))
    raise ModelMisconfigured(
        f"Nobody knows what {profile.model} costs at {profile.name}: "
        f"set {PREFIX}PRICE_INPUT and {PREFIX}PRICE_OUTPUT (USD a million tokens)."
    )


def _override(settings: ModelSettings) -> Tariff:
    if settings.price_input is None or settings.price_output is None:
        raise ModelMisconfigured(f"{PREFIX}PRICE_INPUT and {PREFIX}PRICE_OUTPUT have to be set together.")
    cached = settings.price_input if settings.price_cached is None else settings.price_cached
    return (_flat(settings.price_input, cached, settings.price_output),)


def _flat(fresh: Decimal, cached: Decimal, output: Decimal) -> Rates:
    return Rates(input=fresh, cached=cached, written=fresh, output=output, reasoning=output)


class _Table:
    """One model in the price table; nothing is fetched."""

    def __init__(self, profile: Profile) -> None:
        self._model = profile.model
        by_address = {"provider_api_url": profile.url}
        self._where: dict[str, Any] = {"provider_id": profile.priced_as} if profile.priced_as else by_address

    def knows(self) -> bool:
        try:
            return self._found(datetime.now(UTC)).input_mtok is not None
        except LookupError:
            return False

    def tariff_at(self, at: datetime) -> Tariff:
        found = self._found(at)
        prices = {
            "input": found.input_mtok,
            "cached": _first(found.cache_read_mtok, found.input_mtok),
            "written": _first(found.cache_write_mtok, found.input_mtok),
            "output": _first(found.output_mtok, Decimal(0)),
            "reasoning": _first(found.output_reasoning_mtok, found.output_mtok, Decimal(0)),
        }
        steps = {0} | {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
        return tuple(
            Rates(above=step, **{name: _price_above(price, step) for name, price in prices.items()})
            for step in sorted(steps)
        )

    def _found(self, at: datetime) -> Any:
        return calc_price(NoUsage(), self._model, genai_request_timestamp=at, **self._where).model_price


def _first(*prices: Any) -> Any:
    return next(price for price in prices if price is not None)


def _price_above(price: Any, step: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= step]
    return Decimal(reached[-1] if reached else price.base)
