"""Prices: golden payloads of each dialect cost what the provider's price list says, to the tick."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.model.prices import Rates, TablePrices, Tokens, find_prices, most_of, price_of
from services.analyzer.engines.model.profiles import PROFILES, ModelMisconfigured
from services.analyzer.engines.model.settings import ModelSettings, choose
from services.analyzer.engines.model.wire_anthropic import AnthropicWire
from services.analyzer.engines.model.wire_openai import OpenAIWire

GROK = (
    Rates(
        input=Decimal("1.25"),
        cached=Decimal("0.2"),
        written=Decimal("1.25"),
        output=Decimal("2.5"),
        reasoning=Decimal("2.5"),
    ),
    Rates(
        above=199_999,
        input=Decimal("2.5"),
        cached=Decimal("0.4"),
        written=Decimal("2.5"),
        output=Decimal(5),
        reasoning=Decimal(5),
    ),
)
PARTS = ("input", "cached", "written", "output", "reasoning")
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)

GOLDEN: list[tuple[str, dict[str, Any], Tokens, int]] = [
    (
        "openai",
        {
            "prompt_tokens": 2_000,
            "completion_tokens": 700,
            "total_tokens": 2_700,
            "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 448, "accepted_prediction_tokens": 0},
        },
        Tokens(input=2_000, cached=1_024, output=700, reasoning=448),
        976 * 2_500 + 1_024 * 250 + 700 * 20_000,
    ),
    (
        "xai",
        {
            "prompt_tokens": 9_000,
            "completion_tokens": 80,
            "total_tokens": 9_700,
            "prompt_tokens_details": {"text_tokens": 9_000, "cached_tokens": 512},
            "completion_tokens_details": {"reasoning_tokens": 620},
            "num_sources_used": 0,
        },
        Tokens(input=9_000, cached=512, output=700, reasoning=620),
        8_488 * 12_500 + 512 * 2_000 + 700 * 25_000,
    ),
    (
        "xai",
        {
            "prompt_tokens": 9_000,
            "completion_tokens": 80,
            "completion_tokens_details": {"reasoning_tokens": 620},
            "cost_in_usd_ticks": 37_756_000,
        },
        Tokens(input=9_000, output=700, reasoning=620),
        37_756_000,
    ),
    (
        "gemini",
        {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_400},
        Tokens(input=1_000, output=400, reasoning=300),
        1_000 * 3_000 + 400 * 25_000,
    ),
    (
        "deepseek",
        {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100, "prompt_cache_hit_tokens": 600},
        Tokens(input=1_000, cached=600, output=100),
        None,
    ),
    (
        "openrouter",
        {"prompt_tokens": 10, "completion_tokens": 2, "cost": 0.00001750000000001},
        Tokens(input=10, output=2),
        175_001,
    ),
    (
        "anthropic",
        {
            "input_tokens": 300,
            "cache_creation_input_tokens": 1_100,
            "cache_read_input_tokens": 2_200,
            "output_tokens": 90,
        },
        Tokens(input=3_600, cached=2_200, written=1_100, output=90),
        300 * 10_000 + 1_100 * 12_500 + 2_200 * 1_000 + 90 * 50_000,
    ),
]


def a_reply(name: str, usage: dict[str, Any]) -> bytes:
    shape = {"content": []} if name == "anthropic" else {"choices": []}
    return json.dumps({**shape, "usage": usage}).encode()


@pytest.mark.parametrize(("name", "usage", "tokens", "ticks"), GOLDEN)
def test_each_dialect_costs_what_its_provider_charges(
    name: str, usage: dict[str, Any], tokens: Tokens, ticks: int | None
) -> None:
    profile = PROFILES[name]
    wire = AnthropicWire() if name == "anthropic" else OpenAIWire()

    told = wire.read(a_reply(name, usage), profile)

    assert told.tokens == tokens
    prices = find_prices(profile, ModelSettings())
    assert isinstance(prices, TablePrices)
    cost = TablePrices(model="", tariff_at=prices.tariff_at, now=lambda: AT).cost(tokens, billed=told.billed)
    assert ticks is None or cost.ticks == ticks
    assert cost.source == ("billed" if told.billed is not None else "priced")


def test_a_long_request_costs_double_in_all_its_tokens() -> None:
    prices = find_prices(PROFILES["xai"], ModelSettings())

    tariff = prices.tariff_at(AT)

    assert tariff == GROK
    assert price_of(tariff, Tokens(input=199_999, output=10)) == 199_999 * 12_500 + 10 * 25_000
    assert price_of(tariff, Tokens(input=200_000, output=10)) == 200_000 * 25_000 + 10 * 50_000


def test_prices_are_those_of_the_hour_and_the_reservation_those_of_the_next_too() -> None:
    day = choose(ModelSettings(profile="deepseek", name="deepseek-chat", key="k"), {}).profile
    tariff_at = find_prices(day, ModelSettings()).tariff_at
    night, morning = (
        TablePrices(model="", tariff_at=tariff_at, now=partial(datetime, 2026, 11, 22, 0, minute, tzinfo=UTC))
        for minute in (5, 45)
    )

    used = Tokens(input=1_000)
    assert night.cost(used, billed=None).ticks * 2 == morning.cost(used, billed=None).ticks
    assert night.most_ticks(input_tokens=1_000, output_tokens=0) == morning.cost(used, billed=None).ticks


tokens = st.integers(0, 300_000)
rates = st.decimals(0, 100, places=4)
tariffs = st.lists(
    st.builds(
        Rates, above=st.integers(1, 400_000), input=rates, cached=rates, written=rates, output=rates, reasoning=rates
    ),
    max_size=3,
    unique_by=lambda it: it.above,
).map(lambda tiers: (*GROK[:1], *sorted(tiers, key=lambda it: it.above)))


@given(tariffs, tokens, tokens, st.data())
def test_no_answer_of_a_size_costs_more_than_was_reserved(tariff: Any, most_in: int, most_out: int, data: Any) -> None:
    used_in, used_out = data.draw(st.integers(0, most_in)), data.draw(st.integers(0, most_out))
    cached = data.draw(st.integers(0, used_in))
    written = data.draw(st.integers(0, used_in - cached))
    used = Tokens(
        input=used_in, cached=cached, written=written, output=used_out, reasoning=data.draw(st.integers(0, used_out))
    )

    assert price_of(tariff, used) <= most_of(tariff, input_tokens=most_in, output_tokens=most_out)


@pytest.mark.parametrize("dearest", ["input", "cached", "written", "output", "reasoning"])
def test_whichever_kind_of_token_is_dearest_is_reserved_for(dearest: str) -> None:
    rate = Rates(**{name: Decimal(9 if name == dearest else 1) for name in PARTS})
    used = Tokens(
        input=100,
        cached=100 if dearest == "cached" else 0,
        written=100 if dearest == "written" else 0,
        output=100,
        reasoning=100 if dearest == "reasoning" else 0,
    )

    assert price_of((rate,), used) == most_of((rate,), input_tokens=100, output_tokens=100)


def test_a_request_that_may_have_been_miscounted_is_reserved_at_the_next_tier() -> None:
    assert most_of(GROK, input_tokens=100_000, output_tokens=0) == 100_000 * 25_000
    assert most_of(GROK, input_tokens=99_999, output_tokens=0) == 99_999 * 12_500


def test_a_price_of_ours_goes_before_the_table() -> None:
    settings = ModelSettings(price_input=Decimal(3), price_output=Decimal("0.00001"))
    prices = find_prices(PROFILES["xai"], settings)

    assert prices.cost(Tokens(input=1_000, cached=500, output=1), billed=None).ticks == 1_000 * 30_000 + 1


def test_a_local_model_is_free_until_a_price_is_set() -> None:
    local = choose(ModelSettings(profile="ollama", name="qwen3"), {}).profile

    assert find_prices(local, ModelSettings()).cost(Tokens(input=9, output=9), billed=None).source == "free"
    priced = find_prices(local, ModelSettings(price_input=Decimal(1), price_output=Decimal(1)))
    assert priced.cost(Tokens(input=9, output=9), billed=None).ticks == 180_000


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(url="https://models.example.com/v1", name="house-model"),
        ModelSettings(profile="xai", name="grok-99", key="k"),
        ModelSettings(profile="xai", key="k", price_input=Decimal(1)),
    ],
)
def test_a_model_without_a_known_price_is_refused_with_the_mend(settings: ModelSettings) -> None:
    with pytest.raises(ModelMisconfigured, match="STRANDLINE_MODEL_PRICE_INPUT and STRANDLINE_MODEL_PRICE_OUTPUT"):
        find_prices(choose(settings, {}).profile, settings)
