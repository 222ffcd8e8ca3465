"""The client against a real server that misbehaves: no answer lost, no cent unaccounted, nothing leaked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.events.analyzer import Cost
from services.analyzer.engines.model import client as client_module
from services.analyzer.engines.model.circuit import FAILURES
from services.analyzer.engines.model.client import open_chat_model
from services.analyzer.engines.model.governor import Governor
from services.analyzer.engines.model.ports import (
    ChatModel,
    ChatReply,
    ChatRequest,
    ProviderRefused,
    ProviderUnavailable,
    TooLong,
)
from services.analyzer.engines.model.settings import ModelSettings
from tests.provider.answers import PLAIN_SCHEMA
from tests.provider.script import MALFORMED, UNBILLED, Fault, Latency, Script
from tests.provider.server import FakeProvider, running_provider

REQUEST = ChatRequest(
    system="Review this file. " * 50,
    user="\n".join(f"{n}|x = {n}" for n in range(1, 80)),
    schema=PLAIN_SCHEMA,
    max_output_tokens=4_000,
    conversation="prompt-1",
)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.001)


@asynccontextmanager
async def asking(script: Script, **settings: Any) -> AsyncIterator[tuple[FakeProvider, ChatModel]]:
    chosen = {"profile": "xai", "key": "top-secret", **settings}
    async with (
        running_provider(script) as provider,
        open_chat_model(ModelSettings(url=provider.url, **chosen)) as model,
    ):
        yield provider, model


async def test_an_answer_brings_its_usage_and_what_was_billed() -> None:
    async with asking(Script(key="top-secret", reasoning_tokens=77, cached_share=0.5)) as (provider, model):
        reply = await model.ask(REQUEST)

        assert reply.cost == Cost(ticks=provider.billed_ticks, source="billed", model="grok-4.3")
        assert reply.usage.reasoning_tokens == 77 < reply.usage.output_tokens
        assert 0 < reply.usage.cached_tokens < reply.usage.input_tokens
        assert (reply.usage.calls, reply.usage.attempts) == (1, 1)
        assert provider.calls[0].headers["x-grok-conv-id"] == "prompt-1"


@pytest.mark.parametrize(
    ("profile", "script", "source"),
    [
        ("openai", Script(dialect="openai", model="gpt-5-mini", reasoning_tokens=9), "priced"),
        ("anthropic", Script(dialect="anthropic", model="claude-haiku-4-5", cached_share=0.5), "priced"),
        ("lmstudio", Script(dialect="none", model="local"), "free"),
    ],
)
async def test_every_dialect_is_understood(profile: str, script: Script, source: str) -> None:
    async with asking(script, profile=profile, name=script.model) as (_, model):
        reply = await model.ask(REQUEST)

        assert reply.cost.source == source
        assert (reply.cost.ticks > 0) is (source == "priced")
        assert reply.usage.input_tokens > 0 < reply.usage.output_tokens
        assert reply.text.startswith("{")


@pytest.mark.parametrize("fault", [*MALFORMED, Fault.HTML, Fault.SLOW_BODY])
async def test_whatever_comes_with_status_200_comes_back_with_its_cost(fault: Fault) -> None:
    async with asking(Script(plan=(fault,), slow_seconds=0.02)) as (provider, model):
        reply = await model.ask(REQUEST)

        assert len(provider.calls) == 1
        assert reply.raw
        if fault is Fault.MISSING_USAGE:
            assert reply.cost.ticks >= provider.billed_ticks
        else:
            assert reply.cost.ticks == provider.billed_ticks


@pytest.mark.parametrize(
    ("fault", "finish"),
    [(Fault.TRUNCATED, "cut"), (Fault.REFUSAL, "refused"), (Fault.CONTENT_FILTER, "filtered"), (None, "complete")],
)
async def test_how_an_answer_ended_is_told(fault: Fault | None, finish: str) -> None:
    async with asking(Script(plan=(fault,))) as (_, model):
        assert (await model.ask(REQUEST)).finish == finish


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.ERROR_503])
async def test_a_failing_provider_is_asked_again(fault: Fault) -> None:
    async with asking(Script(plan=(fault, fault, None))) as (provider, model):
        reply = await model.ask(REQUEST)

        assert reply.usage.attempts == 3
        assert reply.cost.ticks == provider.billed_ticks


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.DROPPED_LATE])
async def test_a_lost_answer_is_presumed_spent_and_not_bought_twice(fault: Fault) -> None:
    async with asking(Script(plan=(fault,))) as (provider, model):
        with pytest.raises(ProviderUnavailable, match="broke the connection") as lost:
            await model.ask(REQUEST)

        assert len(provider.calls) == 1
        assert lost.value.presumed_ticks >= provider.billed_ticks
        assert lost.value.presumed_ticks > 0


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.DROPPED_LATE])
async def test_a_lost_answer_of_a_free_model_is_asked_for_again(fault: Fault) -> None:
    async with asking(Script(dialect="none", plan=(fault,)), profile="llama.cpp", name="grok-4.3") as (_, model):
        assert (await model.ask(REQUEST)).usage.attempts == 2


async def test_an_answer_that_does_not_end_is_given_up() -> None:
    async with asking(Script(plan=(Fault.SLOW_BODY,), slow_seconds=60), answer_seconds=0.1) as (_, model):
        with pytest.raises(ProviderUnavailable, match="did not end its answer") as lost:
            await model.ask(REQUEST)

        assert lost.value.presumed_ticks > 0


async def test_an_answer_that_does_not_begin_is_given_up() -> None:
    async with asking(Script(latency=Latency(mean=60)), first_byte_seconds=0.1) as (_, model):
        with pytest.raises(ProviderUnavailable, match="did not answer within"):
            await model.ask(REQUEST)


async def test_being_told_to_wait_is_no_attempt() -> None:
    async with asking(Script(requests_per_minute=1_200, burst=1, retry_after=0.05)) as (provider, model):
        replies = await asyncio.gather(*(model.ask(REQUEST) for _ in range(8)))

        assert all(reply.usage.attempts == 1 for reply in replies)
        assert len(provider.calls) > len(provider.accepted) == 8


async def test_a_known_limit_is_kept_without_being_told() -> None:
    async with asking(Script(requests_per_minute=3_000), rpm=3_000) as (provider, model):
        await asyncio.gather(*(model.ask(REQUEST) for _ in range(60)))

        assert len(provider.calls) == len(provider.accepted) == 60


async def test_waiting_longer_than_patience_hands_the_file_back() -> None:
    script = Script(requests_per_minute=1, burst=0.5, retry_after=30)
    async with asking(script, patience_seconds=5) as (_, model):
        await model.ask(REQUEST)
        with pytest.raises(ProviderUnavailable) as busy:
            await model.ask(REQUEST)

        assert busy.value.after >= 30
        assert busy.value.presumed_ticks == 0


@pytest.mark.parametrize("accepted", [{"json_object"}, set()])
async def test_the_strongest_mode_is_found_out_once(accepted: set[str]) -> None:
    async with asking(Script(structured=frozenset(accepted))) as (provider, model):
        await model.ask(REQUEST)
        tried = len(provider.calls)
        await model.ask(REQUEST)

        assert tried == 3 - len(accepted)
        assert len(provider.calls) == tried + 1
        assert [call.status for call in provider.calls] == [400] * (tried - 1) + [200, 200]


async def test_anthropic_falls_back_to_words() -> None:
    script = Script(dialect="anthropic", model="claude-haiku-4-5", structured=frozenset())
    async with asking(script, profile="anthropic") as (provider, model):
        await model.ask(REQUEST)

        assert [call.status for call in provider.calls] == [400, 200]


async def test_a_request_over_the_context_is_told_apart() -> None:
    async with asking(Script(context_tokens=50)) as (provider, model):
        with pytest.raises(TooLong):
            await model.ask(REQUEST)

        assert len(provider.calls) == 1


@pytest.mark.parametrize(
    ("script", "mend"),
    [
        (Script(key="other"), "set STRANDLINE_MODEL_KEY or XAI_API_KEY to a valid one"),
        (Script(model="other"), "check STRANDLINE_MODEL_NAME"),
    ],
)
async def test_what_cannot_pass_is_refused_with_its_mend_and_without_the_key(script: Script, mend: str) -> None:
    async with asking(script) as (provider, model):
        with pytest.raises(ProviderRefused, match=mend) as refused:
            await model.ask(REQUEST)

        assert len(provider.calls) == 1
        assert "top-secret" not in str(refused.value)


async def test_a_provider_that_is_down_is_left_alone_and_found_again() -> None:
    async with asking(Script(faults={Fault.ERROR_503: 1.0})) as (provider, model):
        said, after = "", 0.0
        while "is down" not in said:
            with pytest.raises(ProviderUnavailable) as down:
                await model.ask(REQUEST)
            said, after = str(down.value), down.value.after
        assert len(provider.calls) == FAILURES
        provider.follow(Script())
        await asyncio.sleep(after)

        assert (await model.ask(REQUEST)).finish == "complete"


async def test_nobody_there_is_said_so() -> None:
    async with running_provider() as provider:
        nobody = provider.url
    async with open_chat_model(ModelSettings(profile="xai", url=nobody, key="k")) as model:
        with pytest.raises(ProviderUnavailable, match="cannot be reached") as gone:
            await model.ask(REQUEST)

        assert gone.value.presumed_ticks == 0


async def test_a_cancelled_question_is_cancelled_at_the_provider_and_gives_its_place_up() -> None:
    async with asking(Script(latency=Latency(mean=60)), parallel=1) as (provider, model):
        question = asyncio.create_task(model.ask(REQUEST))
        await provider.until(lambda it: it.most_inside == 1)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
        await provider.until(lambda it: it.calls[0].gone)
        provider.follow(Script())

        assert (await asyncio.wait_for(model.ask(REQUEST), 10)).finish == "complete"


async def test_models_of_one_quota_share_its_governor() -> None:
    governors: dict[str, Governor] = {}
    async with running_provider(Script(latency=Latency(mean=0.02))) as provider:
        settings = ModelSettings(profile="xai", url=provider.url, key="k", parallel=2)
        async with (
            open_chat_model(settings, governors=governors) as one,
            open_chat_model(settings, governors=governors) as other,
        ):
            await asyncio.gather(*(model.ask(REQUEST) for model in (one, other) for _ in range(6)))

        assert provider.most_inside == 2
        assert len(governors) == 1


async def test_over_many_faults_the_bill_is_what_was_told_or_presumed() -> None:
    known = [fault for fault in Fault if fault not in {Fault.MISSING_USAGE, Fault.SLOW_BODY}]
    script = Script(faults=dict.fromkeys(known, 0.5 / len(known)), seed=7)
    async with asking(script) as (provider, model):
        told = await asyncio.gather(*(model.ask(REQUEST) for _ in range(300)), return_exceptions=True)

        replies = [reply for reply in told if isinstance(reply, ChatReply)]
        lost = [error for error in told if isinstance(error, ProviderUnavailable)]
        hidden = sum(call.billed_ticks for call in provider.calls if call.fault is Fault.DROPPED_LATE)
        assert len(replies) + len(lost) == 300
        assert sum(reply.cost.ticks for reply in replies) == provider.billed_ticks - hidden
        assert sum(error.presumed_ticks for error in lost) >= hidden > 0
        assert all(call.billed_ticks == 0 for call in provider.calls if call.fault in UNBILLED)
