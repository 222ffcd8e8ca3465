"""Anthropic's own wire: what is written and read."""

from __future__ import annotations

import json

import pytest

from services.analyzer.engines.model.ports import ChatRequest
from services.analyzer.engines.model.profiles import PROFILES
from services.analyzer.engines.model.wire_anthropic import AnthropicWire

WIRE = AnthropicWire()
PROFILE = PROFILES["anthropic"]
REQUEST = ChatRequest(
    system="Review.", user="1|x", schema={"type": "object"}, max_output_tokens=500, conversation="prompt-1"
)


def test_the_schema_is_enforced_or_said_in_words() -> None:
    strict, prompted = (WIRE.write(REQUEST, PROFILE, mode).body for mode in WIRE.modes)

    assert strict["output_config"]["format"]["schema"] == {"type": "object"}
    assert strict["system"] == "Review."
    assert "output_config" not in prompted
    assert '{"type":"object"}' in prompted["system"]


def test_the_key_is_shown_in_its_own_header() -> None:
    assert WIRE.key_headers("k") == {"anthropic-version": "2023-06-01", "x-api-key": "k"}


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", "complete"), ("max_tokens", "cut"), ("refusal", "refused"), (None, "complete"), ([], "complete")],
)
def test_every_reply_has_its_text_and_how_it_ended(stop: object, finish: str) -> None:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "{"}, {"type": "text", "text": "}"}]

    told = WIRE.read(json.dumps({"content": content, "stop_reason": stop}).encode(), PROFILE)

    assert (told.text, told.finish, told.from_model) == ("{}", finish, True)
