"""What the model engine needs of a provider: one question, one answer with its usage and price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from libs.events.analyzer import Cost, Usage

Finish = Literal["complete", "cut", "refused", "filtered"]
"""``cut``: the output limit ended it; ``filtered``: the provider's content filter withheld it."""


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """``system`` is the same for every file, so that prefix caches hit; ``schema`` is the answer's JSON Schema."""

    system: str
    user: str
    schema: Mapping[str, Any]
    max_output_tokens: int
    conversation: str


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What came back. ``raw`` is the body as received, for keeping when it was not clean."""

    text: str
    finish: Finish
    usage: Usage
    cost: Cost
    raw: bytes


class ProviderUnavailable(Exception):
    """It may pass: throttled, down, timed out. ``after`` is when to try again, in seconds.

    ``presumed_ticks`` is what may be on the bill for an answer that was lost on its way; 0 when nothing can be.
    """

    def __init__(self, reason: str, *, after: float, presumed_ticks: int = 0) -> None:
        super().__init__(reason)
        self.after = after
        self.presumed_ticks = presumed_ticks


class ProviderRefused(Exception):
    """It will not pass: wrong key, unknown model, malformed request; one sentence with the mend."""


class TooLong(Exception):
    """The request does not fit the model's context."""


class ChatModel(Protocol):
    """One model of one provider, behind the governor of its quota pool."""

    @property
    def name(self) -> str:
        """The model's name as the provider knows it."""

    @property
    def context_tokens(self) -> int:
        """The most a request and its answer may have together."""

    @property
    def max_output_tokens(self) -> int:
        """The most an answer may have."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, never fewer than the provider will count but in rare cases: reservations stand on it."""

    def price_ticks(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that a request of this size can cost: the dearest tier within its reach, nothing cached."""

    async def ask(self, request: ChatRequest) -> ChatReply:
        """One answer; waits for the governor and repeats what may pass within its deadline.

        Raises:
            ProviderUnavailable, ProviderRefused, TooLong.
        """
