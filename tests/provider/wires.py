"""The two wires the fake provider speaks: requests read, replies and usage written in each dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.provider.script import Dialect, Fault, Prices, Script


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request of either wire."""

    system: str
    user: str
    form: str
    schema: Mapping[str, Any] | None
    max_tokens: int

    @property
    def tokens(self) -> int:
        return tokens_of(self.system) + tokens_of(self.user)


@dataclass(frozen=True, kw_only=True)
class Metered:
    """Tokens of one reply; ``input`` contains ``cached``, ``output`` does not contain ``reasoning``."""

    input: int
    cached: int
    output: int
    reasoning: int

    def ticks(self, prices: Prices) -> int:
        fresh = self.input - self.cached
        return fresh * prices.input + self.cached * prices.cached + (self.output + self.reasoning) * prices.output


def tokens_of(text: str) -> int:
    return -(-len(text.encode()) // 4)


def read_openai(body: Mapping[str, Any]) -> Asked:
    form = body.get("response_format") or {}
    return Asked(
        system="\n".join(m["content"] for m in body["messages"] if m["role"] in {"system", "developer"}),
        user="\n".join(m["content"] for m in body["messages"] if m["role"] == "user"),
        form=form.get("type", "text"),
        schema=form.get("json_schema", {}).get("schema"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 1_000_000,
    )


def read_anthropic(body: Mapping[str, Any]) -> Asked:
    system = body.get("system", "")
    if isinstance(system, list):
        system = "\n".join(part["text"] for part in system)
    tools = body.get("tools") or []
    output = (body.get("output_config") or {}).get("format") or {}
    return Asked(
        system=system,
        user="\n".join(_content(m["content"]) for m in body["messages"]),
        form="json_schema" if tools or output else "text",
        schema=tools[0]["input_schema"] if tools else output.get("schema"),
        max_tokens=body["max_tokens"],
    )


def _content(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def meter(asked: Asked, text: str, script: Script) -> Metered:
    return Metered(
        input=asked.tokens,
        cached=int(tokens_of(asked.system) * script.cached_share),
        output=tokens_of(text),
        reasoning=script.reasoning_tokens,
    )


def openai_reply(number: int, text: str, fault: Fault | None, metered: Metered, script: Script) -> bytes:
    finish = {Fault.TRUNCATED: "length", Fault.CONTENT_FILTER: "content_filter"}.get(fault, "stop") if fault else "stop"
    refused = fault is Fault.REFUSAL
    message = {"role": "assistant", "content": None if refused else text, "refusal": text if refused else None}
    reply = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000 + number,
        "model": script.model,
        "choices": [] if fault is Fault.EMPTY_CHOICES else [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": None if fault is Fault.MISSING_USAGE else usage(metered, script.dialect, script.prices),
    }
    return json.dumps({key: value for key, value in reply.items() if value is not None}).encode()


def anthropic_reply(number: int, text: str, fault: Fault | None, metered: Metered, script: Script) -> bytes:
    stops = {Fault.TRUNCATED: "max_tokens", Fault.CONTENT_FILTER: "refusal", Fault.REFUSAL: "refusal"}
    reply = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": script.model,
        "content": [] if fault is Fault.EMPTY_CHOICES else [{"type": "text", "text": text}],
        "stop_reason": stops.get(fault, "end_turn") if fault else "end_turn",
        "usage": None if fault is Fault.MISSING_USAGE else usage(metered, "anthropic", script.prices),
    }
    return json.dumps({key: value for key, value in reply.items() if value is not None}).encode()


def usage(metered: Metered, dialect: Dialect, prices: Prices) -> dict[str, Any] | None:
    """OpenAI counts reasoning inside the completion, xAI outside; Anthropic counts cached input beside the input."""
    match dialect:
        case "none":
            return None
        case "anthropic":
            return {
                "input_tokens": metered.input - metered.cached,
                "cache_read_input_tokens": metered.cached,
                "cache_creation_input_tokens": 0,
                "output_tokens": metered.output + metered.reasoning,
            }
    inside = metered.reasoning if dialect == "openai" else 0
    told: dict[str, Any] = {
        "prompt_tokens": metered.input,
        "completion_tokens": metered.output + inside,
        "total_tokens": metered.input + metered.output + metered.reasoning,
        "prompt_tokens_details": {"cached_tokens": metered.cached},
        "completion_tokens_details": {"reasoning_tokens": metered.reasoning},
    }
    if dialect == "xai":
        told["cost_in_usd_ticks"] = metered.ticks(prices)
    return told
