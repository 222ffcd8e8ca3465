"""One model over HTTP: asks within the governor's leave, repeats what may pass, and knows what an answer cost.

What is repeated here has cost nothing: a connection that was not made, a status that says no. An answer that was lost
on its way may be on the bill. Where it could cost money it is not asked for again under the same reservation:
``ProviderUnavailable`` says what has to be presumed spent, and whoever asks again reserves again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from libs.events.analyzer import Cost, Usage
from services.analyzer.engines.model.circuit import Circuit
from services.analyzer.engines.model.governor import Governor, Limits
from services.analyzer.engines.model.ports import (
    ChatModel,
    ChatReply,
    ChatRequest,
    ProviderRefused,
    ProviderUnavailable,
    TooLong,
)
from services.analyzer.engines.model.prices import Prices, Tokens, find_prices
from services.analyzer.engines.model.profiles import Profile, Structured
from services.analyzer.engines.model.settings import ModelSettings, choose
from services.analyzer.engines.model.statuses import Verdict, judge
from services.analyzer.engines.model.tokens import TokenCounter, likely_tokens
from services.analyzer.engines.model.transport import Answer, Lost, Transport, Unreached, Untrusted, open_transport
from services.analyzer.engines.model.wire_anthropic import AnthropicWire
from services.analyzer.engines.model.wire_openai import OpenAIWire
from services.analyzer.engines.model.wires import Told, Wire

WIRES: dict[str, Wire] = {"openai": OpenAIWire(), "anthropic": AnthropicWire()}
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
MOST_FAILURES = 6
LATER = 5.0
FIRST_OUTPUT = 500.0
"""Tokens that an answer is thought to take, for the pace, until some have been seen."""


@dataclass
class _Patience:
    """How often one question was tried and how long it has waited between; waiting on request is no try."""

    seconds: float
    attempts: int = 0
    throttled: int = 0
    waited: float = 0.0

    def next_pause(self, after: float | None) -> float:
        """Seconds until the next try, with full jitter; what the provider said is the least."""
        if after is not None:
            return after * random.uniform(1.0, 1.1)
        return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.attempts + self.throttled)))

    def allows(self, pause: float) -> bool:
        return self.attempts < MOST_FAILURES and self.waited + pause <= self.seconds


@dataclass(frozen=True)
class _Got:
    answer: Answer
    told: Told


class HttpChatModel:
    """``ChatModel`` of a provider. Shared by all handlers of the process."""

    def __init__(
        self, profile: Profile, *, transport: Transport, governor: Governor, prices: Prices, patience: float
    ) -> None:
        self._profile = profile
        self._transport = transport
        self._governor = governor
        self._prices = prices
        self._patience = patience
        self._wire = WIRES[profile.wire]
        self._mode: Structured = profile.structured
        self._circuit = Circuit()
        self._counter = TokenCounter()
        self._usual_output = FIRST_OUTPUT

    @property
    def name(self) -> str:
        return self._profile.model

    @property
    def provider(self) -> str:
        return self._profile.name

    @property
    def mode(self) -> Structured:
        """How answers are held to the schema, as far as is known by now."""
        return self._mode

    @property
    def context_tokens(self) -> int:
        return self._profile.context_tokens

    @property
    def max_output_tokens(self) -> int:
        return self._profile.max_output_tokens

    def count_tokens(self, text: str) -> int:
        return self._counter.count(text)

    def price_ticks(self, *, input_tokens: int, output_tokens: int) -> int:
        return self._prices.most_ticks(input_tokens=input_tokens, output_tokens=output_tokens)

    async def ask(self, request: ChatRequest) -> ChatReply:
        patience, ticket = _Patience(self._patience), self._governor.ticket()
        while True:
            self._stop_if_down()
            mode = self._mode
            outcome = await self._try(request, mode, ticket)
            if isinstance(outcome, _Got):
                return self._reply(request, outcome, attempts=patience.attempts + 1)
            if outcome.kind == "weaker_mode":
                self._weaken(mode, outcome)
                continue
            await self._pause_or_raise(outcome, patience)

    async def _try(self, request: ChatRequest, mode: Structured, ticket: int) -> _Got | Verdict:
        sent = self._wire.write(request, self._profile, mode)
        expected = likely_tokens(_size(request)) + int(self._usual_output)
        async with self._governor.turn(ticket, tokens=expected) as turn:
            try:
                answer = await self._transport.post(self._wire.path, sent.body, sent.headers)
            except Unreached as error:
                return self._failed(Verdict(kind="failing", said=f"{self.provider} {error}"))
            except Untrusted as error:
                raise ProviderRefused(f"{self._profile.url} {error}.") from None
            except Lost as error:
                return self._lost(request, f"{self.provider} {error}")
            if answer.status == 200:
                self._circuit.succeeded()
                told = self._wire.read(answer.body, self._profile)
                turn.succeeded(tokens=self._learn(request, told) or expected)
                return _Got(answer, told)
            verdict = judge(answer.status, answer.headers, answer.body, self._profile)
            if verdict.kind == "throttled":
                turn.throttled()
        if verdict.kind == "failing":
            return self._failed(verdict)
        self._circuit.succeeded()
        return verdict

    def _failed(self, verdict: Verdict) -> Verdict:
        self._circuit.failed(_now())
        return verdict

    def _lost(self, request: ChatRequest, said: str) -> Verdict:
        verdict = self._failed(Verdict(kind="failing", said=said))
        presumed = self._worst(request)
        if presumed:
            raise ProviderUnavailable(said, after=LATER * random.uniform(0.5, 1.5), presumed_ticks=presumed)
        return verdict

    def _stop_if_down(self) -> None:
        wait = self._circuit.wait(_now())
        if wait > 0:
            raise ProviderUnavailable(f"{self.provider} is down; asking again later", after=wait)

    def _weaken(self, mode: Structured, verdict: Verdict) -> None:
        modes = self._wire.modes
        if mode == modes[-1]:
            raise ProviderRefused(f"{verdict.said}.")
        if mode == self._mode:
            self._mode = modes[modes.index(mode) + 1]

    async def _pause_or_raise(self, verdict: Verdict, patience: _Patience) -> None:
        if verdict.kind == "too_long":
            raise TooLong(verdict.said)
        if verdict.kind == "refused":
            raise ProviderRefused(verdict.said)
        if verdict.kind == "throttled":
            patience.throttled += 1
        else:
            patience.attempts += 1
        pause = patience.next_pause(verdict.after)
        if not patience.allows(pause):
            raise ProviderUnavailable(verdict.said, after=max(pause, LATER))
        patience.waited += pause
        await asyncio.sleep(pause)

    def _learn(self, request: ChatRequest, told: Told) -> int:
        """The tokens that the provider counted; 0 where it did not."""
        if told.tokens is None:
            return 0
        self._counter.learn(_size(request), told.tokens.input)
        self._usual_output += (told.tokens.output - self._usual_output) / 10
        return told.tokens.input + told.tokens.output

    def _reply(self, request: ChatRequest, got: _Got, *, attempts: int) -> ChatReply:
        told, used = got.told, got.told.tokens or _likely(request, got.told)
        usage = Usage(
            input_tokens=used.input,
            cached_tokens=used.cached,
            output_tokens=used.output,
            reasoning_tokens=used.reasoning,
            calls=1,
            attempts=attempts,
        )
        finish = told.finish if got.answer.whole else "cut"
        return ChatReply(
            text=told.text, finish=finish, usage=usage, cost=self._cost(request, told), raw=got.answer.body
        )

    def _cost(self, request: ChatRequest, told: Told) -> Cost:
        """As billed or priced; the worst case where a model answered and did not say what it took."""
        if told.tokens is not None or told.billed is not None:
            return self._prices.cost(told.tokens or Tokens(), billed=told.billed)
        ticks = self._worst(request) if told.from_model else 0
        return Cost(ticks=ticks, source="priced" if ticks else "free", model=self.name)

    def _worst(self, request: ChatRequest) -> int:
        parts = (request.system, request.user, json.dumps(request.schema))
        tokens = sum(map(self.count_tokens, parts))
        return self.price_ticks(input_tokens=tokens, output_tokens=request.max_output_tokens)


def _likely(request: ChatRequest, told: Told) -> Tokens:
    if not told.from_model:
        return Tokens()
    return Tokens(input=likely_tokens(_size(request)), output=likely_tokens(_bytes(told.text)))


def _size(request: ChatRequest) -> int:
    return _bytes(request.system) + _bytes(request.user)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def open_chat_model(
    settings: ModelSettings, *, governors: dict[str, Governor] | None = None
) -> AsyncIterator[ChatModel]:
    """The model that the settings choose. Models opened with the same ``governors`` share the quotas they share.

    Raises:
        ModelMisconfigured: before anything is asked.
    """
    chosen = choose(settings)
    profile, prices = chosen.profile, find_prices(chosen.profile, settings)
    limits = Limits(parallel=settings.parallel, requests_per_minute=settings.rpm, tokens_per_minute=settings.tpm)
    governor = ({} if governors is None else governors).setdefault(profile.pool, Governor(limits))
    key = chosen.key.get_secret_value() if chosen.key else None
    async with open_transport(profile, WIRES[profile.wire].key_headers(key), settings) as transport:
        yield HttpChatModel(
            profile, transport=transport, governor=governor, prices=prices, patience=settings.patience_seconds
        )
