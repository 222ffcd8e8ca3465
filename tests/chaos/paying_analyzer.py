"""An analyzer with an engine that costs money: ``python -m tests.chaos.paying_analyzer`` beside the other services.

Every call is billed as a provider would: one line in the file ``CHAOS_BILL``, written in the middle of the call, so
that a kill can come before the bill or between the bill and the answer. The call's id is the analysis's summary.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path

from libs.bus.api import Bus
from libs.events.analyzer import Category, Cost, FileAnalysis, Finding, Severity, Usage
from libs.runtime.serve import Checks, serve
from services.analyzer.__main__ import open_with_engines
from services.analyzer.engines.static.engine import open_static_engine
from services.analyzer.ports import Examined, Source
from services.analyzer.settings import Settings

NAME = "llm"
HALF_A_CALL = (0.02, 0.08)
TROUBLE = {
    "TODO": (Category.DOCUMENTATION, Severity.LOW),
    "FIXME": (Category.CORRECTNESS, Severity.MEDIUM),
    "eval": (Category.SECURITY, Severity.CRITICAL),
    "except": (Category.ERROR_HANDLING, Severity.HIGH),
    "unwrap": (Category.CORRECTNESS, Severity.HIGH),
    "password": (Category.SECURITY, Severity.HIGH),
}


class PayingEngine:
    """Finds words, and takes money for it: more than half the worst case, never more than all of it."""

    name = NAME
    version = "1"

    def __init__(self, bill: Path) -> None:
        self._bill = os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def identity(self, source: Source) -> str:
        return "chaos"

    def worst_case_ticks(self, source: Source) -> int:
        return 1_000_000 + 1_000 * len(source.content)

    async def analyse(self, source: Source) -> Examined:
        call, worst = secrets.token_hex(8), self.worst_case_ticks(source)
        ticks = worst // 2 + secrets.randbelow(worst // 2)
        await _wait()
        line = {"call": call, "content_hash": source.content_hash, "ticks": ticks, "pid": os.getpid()}
        os.write(self._bill, json.dumps(line).encode() + b"\n")
        await _wait()
        return Examined(
            analysis=_analysis(call, source.content.decode(errors="replace")),
            usage=Usage(input_tokens=len(source.content), calls=1, attempts=1),
            cost=Cost(ticks=ticks, source="billed", model="chaos-1"),
        )


async def _wait() -> None:
    low, high = HALF_A_CALL
    await asyncio.sleep(low + (high - low) * secrets.randbelow(1000) / 1000)


def _analysis(call: str, text: str) -> FileAnalysis:
    found = [
        _finding(word, number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        for word in TROUBLE
        if re.search(rf"\b{word}\b", line)
    ]
    return FileAnalysis(
        language="text",
        engine=NAME,
        engine_version="1",
        outcome="complete",
        summary=call,
        lines=text.count("\n"),
        findings=list({finding.fingerprint: finding for finding in found}.values()),
    )


def _finding(word: str, number: int, line: str) -> Finding:
    category, severity = TROUBLE[word]
    return Finding(
        rule=f"chaos/{word.lower()}",
        category=category,
        severity=severity,
        title=f"{word} is trouble",
        start_line=number,
        end_line=number,
        fingerprint=blake2b(f"{word} {line}".encode(), digest_size=8).hexdigest(),
    )


@contextlib.asynccontextmanager
async def open_paying_analyzer(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """The analyzer with the static engine and the one that costs."""
    paying = PayingEngine(Path(os.environ["CHAOS_BILL"]))
    async with (
        open_static_engine(workers=settings.workers, file_seconds=settings.file_seconds) as static,
        open_with_engines(settings, bus, [paying, static]) as checks,
    ):
        yield checks


if __name__ == "__main__":
    serve("analyzer", Settings, open_paying_analyzer)
