"""Anthropic's own messages wire: its OpenAI-compatible one ignores the schema."""

from __future__ import annotations

from typing import Any

from services.analyzer.engines.model.ports import ChatRequest, Finish
from services.analyzer.engines.model.prices import Tokens
from services.analyzer.engines.model.profiles import Profile, Structured
from services.analyzer.engines.model.wires import Sent, Told, at, count, not_a_reply, parse, with_schema

VERSION = "2023-06-01"
FINISHES: dict[Any, Finish] = {
    "max_tokens": "cut",
    "model_context_window_exceeded": "cut",
    "refusal": "refused",
}


class AnthropicWire:
    path = "/messages"
    modes: tuple[Structured, ...] = ("json_schema", "prompted")

    def key_headers(self, key: str | None) -> dict[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def write(self, request: ChatRequest, profile: Profile, mode: Structured) -> Sent:
        body: dict[str, Any] = {
            "model": profile.model,
            "max_tokens": request.max_output_tokens,
            "system": request.system if mode == "json_schema" else with_schema(request),
            "messages": [{"role": "user", "content": request.user}],
        }
        if mode == "json_schema":
            body["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        return Sent(body=body)

    def read(self, body: bytes, profile: Profile) -> Told:
        reply = parse(body)
        if reply is None:
            return not_a_reply(body)
        pieces = at(reply, "content")
        texts = [at(piece, "text") for piece in pieces] if isinstance(pieces, list) else []
        reason = at(reply, "stop_reason")
        return Told(
            text="".join(text for text in texts if isinstance(text, str)),
            finish=FINISHES.get(reason if isinstance(reason, str) else None, "complete"),
            tokens=read_usage(at(reply, "usage")),
            from_model="content" in reply or "usage" in reply,
        )


def read_usage(usage: Any) -> Tokens | None:
    """Cached and written input are counted beside the input here, and are made parts of it."""
    if not isinstance(usage, dict):
        return None
    cached, written = count(at(usage, "cache_read_input_tokens")), count(at(usage, "cache_creation_input_tokens"))
    fresh, output = count(at(usage, "input_tokens")), count(at(usage, "output_tokens"))
    if not fresh + cached + written + output:
        return None
    return Tokens(input=fresh + cached + written, cached=cached, written=written, output=output)
