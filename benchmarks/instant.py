"""An engine that answers at once: what is measured with it is everything else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from libs.bus.api import Bus
from libs.events.analyzer import Category, FileAnalysis, Finding, Severity
from libs.runtime.serve import Checks
from services.analyzer.__main__ import open_with_engines
from services.analyzer.ports import Examined, Source
from services.analyzer.settings import Settings


class InstantEngine:
    """Two findings and two imports for every file, so that every kind of fact and row comes of it."""

    name = "instant"
    version = "1"

    def __init__(self) -> None:
        self.analysed = 0

    def identity(self, source: Source) -> str:
        return "any"

    def worst_case_ticks(self, source: Source) -> int:
        return 0

    async def analyse(self, source: Source) -> Examined:
        self.analysed += 1
        return Examined(
            analysis=FileAnalysis(
                language="python",
                engine=self.name,
                engine_version=self.version,
                outcome="complete",
                summary="A file that was looked at for no time at all.",
                lines=source.content.count(b"\n"),
                complexity=20,
                maintainability=70,
                findings=[_finding(source, number) for number in (1, 2)],
                imports=["os", "collections.abc"],
            )
        )


def _finding(source: Source, number: int) -> Finding:
    return Finding(
        rule=f"instant/rule-{number}",
        category=Category.CORRECTNESS,
        severity=Severity.MEDIUM,
        title="Something is not as it should be",
        description="What this rule forbids makes the code hard to trust, and this place does it.",
        suggestion="Do what the rule asks for.",
        start_line=number,
        end_line=number + 1,
        symbol="f_1",
        fingerprint=f"{source.content_hash[:15]}{number}",
    )


@contextlib.asynccontextmanager
async def open_instant_analyzer(settings: Settings, bus: Bus, *, engine: InstantEngine) -> AsyncIterator[Checks]:
    """The analyzer as it is, on that engine alone."""
    async with open_with_engines(settings, bus, [engine]) as checks:
        yield checks
