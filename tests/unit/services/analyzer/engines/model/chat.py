"""A model that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from libs.events.analyzer import Cost, FileAnalysis, Finding, Usage
from services.analyzer.engines.model.ports import ChatReply, ChatRequest, Finish
from services.analyzer.ports import Examined, Source


def a_raw(**changes: Any) -> dict[str, Any]:
    """A finding as a model writes it."""
    usual = {"rule": "r", "category": "security", "severity": "high", "start_line": 3, "end_line": 3, "title": "Bad"}
    return {**usual, "confidence": 0.9, "cwe": None, "description": "Why.", "suggestion": "How.", **changes}


def a_text(*raws: Any) -> str:
    """An answer as it should be."""
    return json.dumps({"summary": "A file.", "findings": list(raws)})


def a_reply(text: str, *, finish: Finish = "complete", ticks: int = 1000) -> ChatReply:
    usage = Usage(input_tokens=100, output_tokens=10, calls=1, attempts=1)
    cost = Cost(ticks=ticks, source="billed", model="fake")
    return ChatReply(text=text, finish=finish, usage=usage, cost=cost, raw=text.encode("utf-8", "replace"))


class FakeChatModel:
    """Gives its replies one after the other, the last of them for ever; an exception among them is raised."""

    name = "fake"

    def __init__(self, *replies: str | ChatReply | Exception, context_tokens: int = 100_000) -> None:
        self.context_tokens = context_tokens
        self.max_output_tokens = 4_000
        self.requests: list[ChatRequest] = []
        self._replies: Sequence[str | ChatReply | Exception] = replies or (a_text(),)

    def count_tokens(self, text: str) -> int:
        return len(text.encode("utf-8", "replace")) // 4 + 1

    def price_ticks(self, *, input_tokens: int, output_tokens: int) -> int:
        return input_tokens * 12_500 + output_tokens * 25_000

    async def ask(self, request: ChatRequest) -> ChatReply:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(request)
        if isinstance(reply, Exception):
            raise reply
        return a_reply(reply) if isinstance(reply, str) else reply


class FakeStaticEngine:
    """Finds what it is told to."""

    name = "static"
    version = "1"

    def __init__(self, *findings: Finding, summary: str = "A module.") -> None:
        self._findings = list(findings)
        self._summary = summary

    def identity(self, source: Source) -> str:
        return source.path.rpartition(".")[2]

    def worst_case_ticks(self, source: Source) -> int:
        return 0

    async def analyse(self, source: Source) -> Examined:
        lines = source.content.count(b"\n")
        analysis = FileAnalysis(
            language="python",
            engine="static",
            engine_version="1",
            outcome="complete",
            summary=self._summary,
            lines=lines,
        )
        return Examined(analysis=analysis.model_copy(update={"findings": self._findings}))


def a_finding(**changes: Any) -> Finding:
    """A finding of the static engine."""
    usual: dict[str, Any] = {"rule": "ruff/s307", "category": "security", "severity": "medium", "title": "Eval is used"}
    return Finding(**{**usual, "start_line": 3, "end_line": 3, "fingerprint": "0" * 16, **changes})
