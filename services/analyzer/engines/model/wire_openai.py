"""The OpenAI-compatible chat completions wire, with the ways in which providers differ on it."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from services.analyzer.engines.model.ports import ChatRequest, Finish
from services.analyzer.engines.model.prices import TICKS_A_DOLLAR, Tokens
from services.analyzer.engines.model.profiles import Profile, Structured
from services.analyzer.engines.model.wires import Sent, Told, at, count, not_a_reply, parse, with_schema

FINISHES: dict[Any, Finish] = {
    "length": "cut",
    "max_tokens": "cut",
    "content_filter": "filtered",
    "safety": "filtered",
    "refusal": "refused",
}


class OpenAIWire:
    path = "/chat/completions"
    modes: tuple[Structured, ...] = ("json_schema", "json_object", "prompted")

    def key_headers(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def write(self, request: ChatRequest, profile: Profile, mode: Structured) -> Sent:
        system = request.system if mode == "json_schema" else with_schema(request)
        body: dict[str, Any] = {
            "model": profile.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": request.user}],
            profile.limit_name: request.max_output_tokens,
        }
        if mode == "json_schema":
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif mode == "json_object":
            body["response_format"] = {"type": "json_object"}
        if profile.dialect == "openrouter":
            body["usage"] = {"include": True}
        header = profile.conversation_header
        return Sent(body=body, headers={header: request.conversation} if header else {})

    def read(self, body: bytes, profile: Profile) -> Told:
        reply = parse(body)
        if reply is None:
            return not_a_reply(body)
        choice = at(reply, "choices", 0)
        refusal = at(choice, "message", "refusal")
        text = _text(at(choice, "message", "content"))
        if not text and isinstance(refusal, str) and refusal:
            text, finish = refusal, "refused"
        else:
            reason = at(choice, "finish_reason")
            finish = FINISHES.get(reason.lower() if isinstance(reason, str) else None, "complete")
        usage = at(reply, "usage")
        return Told(
            text=text,
            finish=finish,  # type: ignore[arg-type]
            tokens=read_usage(usage, profile),
            billed=read_bill(usage, profile),
            from_model="choices" in reply or isinstance(usage, dict),
        )


def read_usage(usage: Any, profile: Profile) -> Tokens | None:
    """Tokens in the profile's dialect, with reasoning made a part of the output."""
    if not isinstance(usage, dict) or not (count(at(usage, "prompt_tokens")) or count(at(usage, "completion_tokens"))):
        return None
    prompt, completion = count(at(usage, "prompt_tokens")), count(at(usage, "completion_tokens"))
    reasoning = count(at(usage, "completion_tokens_details", "reasoning_tokens"))
    output = completion
    if profile.dialect == "xai":
        output = completion + reasoning
    elif (total := count(at(usage, "total_tokens"))) > prompt + completion:
        # Gemini thinks outside its completion tokens and says so only in the total.
        output = total - prompt
        reasoning = max(reasoning, output - completion)
    cached = count(at(usage, "prompt_tokens_details", "cached_tokens")) or count(at(usage, "prompt_cache_hit_tokens"))
    written = count(at(usage, "prompt_tokens_details", "cache_write_tokens"))
    return Tokens(
        input=prompt,
        cached=min(cached, prompt),
        written=min(written, max(0, prompt - cached)),
        output=output,
        reasoning=min(reasoning, output),
    )


def read_bill(usage: Any, profile: Profile) -> int | None:
    """Ticks, where the provider says what it charged."""
    if profile.dialect == "xai":
        ticks = at(usage, "cost_in_usd_ticks")
        return ticks if isinstance(ticks, int) and not isinstance(ticks, bool) and ticks >= 0 else None
    if profile.dialect == "openrouter":
        dollars = at(usage, "cost")
        if isinstance(dollars, int | Decimal) and not isinstance(dollars, bool) and Decimal(dollars).is_finite():
            ticks = int((Decimal(dollars) * TICKS_A_DOLLAR).to_integral_value(ROUND_CEILING))
            return ticks if ticks >= 0 else None
    return None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part for part in (at(piece, "text") for piece in content) if isinstance(part, str))
    return ""
