"""The fake provider keeps its own script: what it says, refuses, breaks and would bill."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import httpx2 as httpx
import pytest

from tests.provider.answers import PLAIN_SCHEMA
from tests.provider.script import Fault, Latency, Script
from tests.provider.server import running_provider

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading the real ones takes longer than a test."""


def a_request(**changes: Any) -> dict[str, Any]:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": PLAIN_SCHEMA}}
    messages = [{"role": "system", "content": "Review."}, {"role": "user", "content": "1 a\n2 b\n3 c\n"}]
    return {"model": "grok-4.3", "messages": messages, "response_format": schema, **changes}


async def ask(url: str, **changes: Any) -> httpx.Response:
    return await post(f"{url}/chat/completions", a_request(**changes))


async def post(url: str, body: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False) as client:
        return await client.post(url, json=body)


async def test_a_clean_answer_obeys_the_asked_schema_and_is_billed_as_told() -> None:
    async with running_provider(Script(reasoning_tokens=50, cached_share=0.5)) as provider:
        reply = (await ask(provider.url)).json()

        answer = json.loads(reply["choices"][0]["message"]["content"])
        assert set(answer) == {"summary", "findings"}
        assert all(1 <= finding["start_line"] <= finding["end_line"] <= 3 for finding in answer["findings"])
        assert reply["usage"]["cost_in_usd_ticks"] == provider.billed_ticks > 0


@pytest.mark.parametrize("fault", [fault for fault in Fault if "drop" not in fault])
async def test_every_fault_that_is_a_reply_arrives(fault: Fault) -> None:
    async with running_provider(Script(plan=(fault, None), slow_seconds=0.02)) as provider:
        broken, clean = (await ask(provider.url)).content, (await ask(provider.url)).content

        assert provider.calls[0].fault is fault
        assert json.loads(clean)["choices"][0]["finish_reason"] == "stop"
        assert broken != clean


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.DROPPED_LATE])
async def test_a_dropped_connection_is_billed_only_when_the_answer_was_made(fault: Fault) -> None:
    async with running_provider(Script(plan=(fault,))) as provider:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(provider.url)

        assert (provider.billed_ticks > 0) is (fault is Fault.DROPPED_LATE)


async def test_requests_beyond_the_limit_are_told_when_to_come_again() -> None:
    async with running_provider(Script(requests_per_minute=6, burst=1)) as provider:
        statuses = [(await ask(provider.url)).status_code for _ in range(2)]
        refused = await ask(provider.url)

        assert statuses == [200, 200]
        assert refused.status_code == 429
        assert 0 < float(refused.headers["retry-after"]) <= 20


async def test_a_client_that_leaves_is_noticed() -> None:
    async with running_provider(Script(latency=Latency(mean=30))) as provider:
        asking = asyncio.create_task(ask(provider.url))
        await provider.until(lambda it: it.most_inside > 0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await provider.until(lambda it: it.calls[0].gone)

        assert provider.calls[0].status == 0


@pytest.mark.parametrize(("changes", "status"), [({"model": "other"}, 404), ({"response_format": {"type": "x"}}, 400)])
async def test_a_wrong_request_is_refused(changes: dict[str, Any], status: int) -> None:
    async with running_provider() as provider:
        assert (await ask(provider.url, **changes)).status_code == status


async def test_the_native_anthropic_wire_counts_its_cache_beside_the_input() -> None:
    async with (
        running_provider(Script(dialect="anthropic", cached_share=1.0)) as provider,
        httpx.AsyncClient() as client,
    ):
        body = {
            "model": "grok-4.3",
            "max_tokens": 100,
            "system": "word " * 40,
            "messages": [{"role": "user", "content": "x"}],
        }
        reply = (await client.post(f"{provider.url}/messages", json=body)).json()

        assert reply["usage"]["cache_read_input_tokens"] == 50
        assert reply["usage"]["input_tokens"] == 1
        assert json.loads(reply["content"][0]["text"])["findings"]
