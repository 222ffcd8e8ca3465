"""The providers we know, as data: where they are, how they are asked, how they report what was used."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Wire = Literal["openai", "anthropic"]
Structured = Literal["json_schema", "json_object", "prompted"]
"""How the answer is held to its schema, from the strongest."""
Dialect = Literal["openai", "xai", "openrouter", "anthropic"]


class ModelMisconfigured(Exception):
    """The settings name no model that can be asked; one sentence with the mend."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """``priced_as`` is the provider's id in the price table; ``limit_name`` is what it calls the output limit.

    ``reasoning_inside``: reasoning tokens are part of the completion tokens. ``conversation_header``: a stable id in it
    helps the provider's prefix cache. Profiles of one ``pool`` share a quota.
    """

    name: str
    url: str
    model: str
    key_variable: str | None = None
    wire: Wire = "openai"
    context_tokens: int = 128_000
    max_output_tokens: int = 8_192
    structured: Structured = "json_schema"
    dialect: Dialect = "openai"
    limit_name: str = "max_tokens"
    conversation_header: str | None = None
    priced_as: str | None = None
    pool: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine or a private network: what nobody sends a bill for."""
        return is_local(self.url)


def is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".svc")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and "." not in host
    return address.is_loopback or address.is_private


_ALL = (
    Profile(
        name="xai",
        url="https://api.x.ai/v1",
        model="grok-4.3",
        key_variable="XAI_API_KEY",
        context_tokens=1_000_000,
        max_output_tokens=16_384,
        dialect="xai",
        limit_name="max_completion_tokens",
        conversation_header="x-grok-conv-id",
        priced_as="x-ai",
    ),
    Profile(
        name="openai",
        url="https://api.openai.com/v1",
        model="gpt-5-mini",
        key_variable="OPENAI_API_KEY",
        context_tokens=400_000,
        max_output_tokens=16_384,
        limit_name="max_completion_tokens",
        priced_as="openai",
    ),
    Profile(
        name="anthropic",
        url="https://api.anthropic.com/v1",
        model="claude-haiku-4-5",
        key_variable="ANTHROPIC_API_KEY",
        wire="anthropic",
        context_tokens=200_000,
        max_output_tokens=16_384,
        dialect="anthropic",
        priced_as="anthropic",
    ),
    Profile(
        name="gemini",
        url="https://generativelanguage.googleapis.com/v1beta/openai",
        model="gemini-2.5-flash",
        key_variable="GEMINI_API_KEY",
        context_tokens=1_000_000,
        max_output_tokens=16_384,
        priced_as="google",
    ),
    Profile(
        name="openrouter",
        url="https://openrouter.ai/api/v1",
        model="x-ai/grok-4.3",
        key_variable="OPENROUTER_API_KEY",
        context_tokens=1_000_000,
        max_output_tokens=16_384,
        dialect="openrouter",
        priced_as="openrouter",
    ),
    Profile(
        name="mistral",
        url="https://api.mistral.ai/v1",
        model="mistral-medium-latest",
        key_variable="MISTRAL_API_KEY",
        priced_as="mistral",
    ),
    Profile(
        name="deepseek",
        url="https://api.deepseek.com/v1",
        model="deepseek-v4-flash",
        key_variable="DEEPSEEK_API_KEY",
        context_tokens=1_000_000,
        structured="json_object",
        priced_as="deepseek",
    ),
    Profile(name="ollama", url="http://127.0.0.1:11434/v1", model="", context_tokens=32_768, max_output_tokens=4_096),
    Profile(name="vllm", url="http://127.0.0.1:8000/v1", model="", context_tokens=32_768, max_output_tokens=4_096),
    Profile(
        name="llama.cpp",
        url="http://127.0.0.1:8080/v1",
        model="default",
        context_tokens=32_768,
        max_output_tokens=4_096,
    ),
    Profile(name="lmstudio", url="http://127.0.0.1:1234/v1", model="", context_tokens=32_768, max_output_tokens=4_096),
    Profile(name="custom", url="", model="", max_output_tokens=4_096),
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
"""By name. ``custom`` is any address that speaks the OpenAI wire."""
DEFAULT = "xai"
