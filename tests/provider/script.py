"""How the fake provider behaves: latency, limits, faults, dialect, prices. All chance is seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Dialect = Literal["openai", "xai", "anthropic", "none"]


class Fault(StrEnum):
    """What can be wrong with one reply."""

    FENCED = "fenced"
    PROSE = "prose"
    TRUNCATED = "truncated"
    TRAILING_COMMAS = "trailing-commas"
    UNESCAPED_QUOTES = "unescaped-quotes"
    WRONG_TYPES = "wrong-types"
    UNKNOWN_ENUMS = "unknown-enums"
    NAN = "nan"
    MISSING_KEYS = "missing-keys"
    MANY_FINDINGS = "many-findings"
    LINES_OUTSIDE = "lines-outside"
    NOT_JSON = "not-json"
    EMPTY_TEXT = "empty-text"
    EMPTY_CHOICES = "empty-choices"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content-filter"
    MISSING_USAGE = "missing-usage"
    HTML = "html"
    ERROR_500 = "error-500"
    ERROR_503 = "error-503"
    DROPPED = "dropped"
    DROPPED_LATE = "dropped-late"
    SLOW_BODY = "slow-body"


UNBILLED = frozenset({Fault.ERROR_500, Fault.ERROR_503, Fault.DROPPED, Fault.HTML})
"""Replies behind which no model has worked. ``DROPPED_LATE`` hides an answer that was made and is billed."""

MALFORMED = tuple(Fault)[: tuple(Fault).index(Fault.MISSING_USAGE) + 1]
"""Replies that arrive whole with status 200 and are wrong inside."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds until the answer begins; log-normal around ``mean`` when ``sigma`` is above 0."""

    mean: float = 0.0
    sigma: float = 0.0

    def draw(self, chance: random.Random) -> float:
        if not self.mean or not self.sigma:
            return self.mean
        return chance.lognormvariate(math.log(self.mean) - self.sigma**2 / 2, self.sigma)


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Ticks (10⁻¹⁰ USD) a token: 1.25, 0.20 and 2.50 USD a million."""

    input: int = 12_500
    cached: int = 2_000
    output: int = 25_000


@dataclass(frozen=True, kw_only=True)
class Script:
    """``plan`` decides the first replies one by one (None: a clean one); after it each fault comes at its rate."""

    model: str = "grok-4.3"
    key: str | None = None
    dialect: Dialect = "xai"
    seed: int = 1
    latency: Latency = Latency()
    requests_per_minute: float | None = None
    burst: float | None = None
    concurrency: int | None = None
    retry_after: float | None = None
    structured: frozenset[str] = frozenset({"json_schema", "json_object"})
    context_tokens: int = 1_000_000
    cached_share: float = 0.0
    reasoning_tokens: int = 0
    prices: Prices = Prices()
    plan: tuple[Fault | None, ...] = ()
    faults: Mapping[Fault, float] = field(default_factory=dict)
    findings: int = 2
    slow_seconds: float = 2.0
    answer: Callable[[str, Mapping[str, Any] | None], Any] | None = None
    """From the user message and the asked schema to the answer's JSON value, where the made-up one will not do."""


SCRIPTS: Mapping[str, Script] = {
    "clean": Script(),
    "demo": Script(latency=Latency(mean=0.285, sigma=0.6), cached_share=0.8, reasoning_tokens=300),
    "limited": Script(latency=Latency(mean=0.05, sigma=0.3), requests_per_minute=600),
    "malformed": Script(faults=dict.fromkeys(MALFORMED, 0.2 / len(MALFORMED))),
    "stormy": Script(
        latency=Latency(mean=0.1, sigma=0.8), faults=dict.fromkeys(Fault, 0.3 / len(Fault)), slow_seconds=1.0
    ),
    "openai": Script(dialect="openai", model="gpt-5-mini"),
    "anthropic": Script(dialect="anthropic", model="claude-sonnet-4-5", structured=frozenset()),
    "local": Script(dialect="none", model="local", structured=frozenset({"json_object"})),
    "down": Script(faults={Fault.ERROR_503: 1.0}),
}
"""By name for ``python -m tests.provider --script NAME``."""
