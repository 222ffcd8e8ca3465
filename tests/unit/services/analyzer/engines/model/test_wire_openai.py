"""The OpenAI-compatible wire: what is written, and that whatever comes back is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.model.ports import ChatRequest
from services.analyzer.engines.model.profiles import PROFILES
from services.analyzer.engines.model.wire_anthropic import AnthropicWire
from services.analyzer.engines.model.wire_openai import OpenAIWire

WIRE = OpenAIWire()
XAI = PROFILES["xai"]
REQUEST = ChatRequest(
    system="Review.", user="1|x", schema={"type": "object"}, max_output_tokens=500, conversation="prompt-1"
)


def a_reply(message: Any, finish: Any = "stop") -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()


def test_the_fixed_part_comes_first_and_the_conversation_has_its_header() -> None:
    sent = WIRE.write(REQUEST, XAI, "json_schema")

    assert [message["content"] for message in sent.body["messages"]] == ["Review.", "1|x"]
    assert sent.body["max_completion_tokens"] == 500
    assert sent.headers == {"x-grok-conv-id": "prompt-1"}
    assert sent.body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_a_weaker_mode_says_the_schema_in_words() -> None:
    told = {mode: WIRE.write(REQUEST, PROFILES["mistral"], mode).body for mode in WIRE.modes}

    assert [body.get("response_format", {}).get("type") for body in told.values()] == [
        "json_schema",
        "json_object",
        None,
    ]
    assert ['{"type":"object"}' in body["messages"][0]["content"] for body in told.values()] == [False, True, True]
    assert all(body["max_tokens"] == 500 for body in told.values())


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        (a_reply({"content": "{}"}), "{}", "complete"),
        (a_reply({"content": "{"}, "length"), "{", "cut"),
        (a_reply({"content": ""}, "content_filter"), "", "filtered"),
        (a_reply({"content": None, "refusal": "No."}), "No.", "refused"),
        (a_reply({"content": [{"type": "text", "text": "{"}, {"text": "}"}, {"text": 7}, "x"]}), "{}", "complete"),
        (a_reply(None, ["stop"]), "", "complete"),
        (b'{"choices": []}', "", "complete"),
        (b'{"choices": null}', "", "complete"),
        (b"<html>busy</html>", "<html>busy</html>", "complete"),
        (b"", "", "complete"),
        (b"[" * 100_000, "[" * 4_000, "complete"),
    ],
)
def test_every_reply_has_its_text_and_how_it_ended(body: bytes, text: str, finish: str) -> None:
    told = WIRE.read(body, XAI)

    assert (told.text, told.finish) == (text, finish)


KEYS = [
    "choices",
    "message",
    "content",
    "text",
    "usage",
    "finish_reason",
    "stop_reason",
    "refusal",
    "cost",
    "prompt_tokens",
    "completion_tokens",
    "cost_in_usd_ticks",
    "prompt_tokens_details",
    "input_tokens",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            parts,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.binary(max_size=50) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_body_can_break_a_wire(body: bytes) -> None:
    for name in ("xai", "openrouter", "openai"):
        told = WIRE.read(body, PROFILES[name])
        assert told.billed is None or told.billed >= 0
    assert isinstance(AnthropicWire().read(body, PROFILES["anthropic"]).text, str)


@given(json_values)
def test_no_usage_can_break_a_wire(usage: Any) -> None:
    body = json.dumps({"choices": [], "content": [], "usage": usage}).encode()
    for name in ("xai", "openrouter", "openai"):
        told = WIRE.read(body, PROFILES[name]).tokens
        assert told is None or (told.cached <= told.input and told.reasoning <= told.output)
    AnthropicWire().read(body, PROFILES["anthropic"])


def test_a_page_is_not_taken_for_a_model_s_words() -> None:
    assert not WIRE.read(b"<html>busy</html>", XAI).from_model
    assert not WIRE.read(b'{"error": "busy"}', XAI).from_model
    assert WIRE.read(b'{"choices": []}', XAI).from_model
