"""What the client needs of a wire, and what a reply says in either: pure, whatever the body contains."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from services.analyzer.engines.model.ports import ChatRequest, Finish
from services.analyzer.engines.model.prices import Tokens
from services.analyzer.engines.model.profiles import Profile, Structured

MOST_HTML = 4_000


@dataclass(frozen=True, kw_only=True)
class Told:
    """A reply as read. ``tokens`` None: it did not say; ``from_model`` False: no model has written this."""

    text: str = ""
    finish: Finish = "complete"
    tokens: Tokens | None = None
    billed: int | None = None
    from_model: bool = True


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as it goes out."""

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire(Protocol):
    """One way of asking and being answered."""

    path: str
    modes: tuple[Structured, ...]

    def key_headers(self, key: str | None) -> dict[str, str]:
        """How the key is shown."""

    def write(self, request: ChatRequest, profile: Profile, mode: Structured) -> Sent:
        """The request in this wire's words."""

    def read(self, body: bytes, profile: Profile) -> Told:
        """Whatever is in the body; never raises."""


def parse(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, figures exact; None when it is something else."""
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def not_a_reply(body: bytes) -> Told:
    """A page of some proxy, or nothing at all."""
    return Told(text=body[:MOST_HTML].decode("utf-8", "replace"), from_model=False)


def at(value: Any, *path: str | int) -> Any:
    """What lies at a path of keys and indices; None where it leads nowhere."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def count(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def with_schema(request: ChatRequest) -> str:
    """The system prompt, with the schema in words for a provider that does not enforce it."""
    schema = json.dumps(request.schema, separators=(",", ":"))
    return f"{request.system}\n\nAnswer with one JSON object and nothing else. It obeys this JSON Schema:\n{schema}"
