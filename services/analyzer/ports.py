"""What the analyzer needs: engines, and a door to the money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libs.events.analyzer import Cost, FailReason, FileAnalysis, Usage
from libs.events.differ import FileQueued


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file to analyse. ``path`` is for telling the language and the role of the file, never for reading."""

    path: str
    content: bytes
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What an engine made of a source, and what that took."""

    analysis: FileAnalysis
    usage: Usage = Usage()
    cost: Cost = Cost()


class EngineFailed(Exception):
    """This file cannot be analysed; the message is for a person. ``usage`` and ``cost`` are what the attempt took."""

    def __init__(self, reason: str, detail: str, *, usage: Usage | None = None, cost: Cost | None = None) -> None:
        super().__init__(detail)
        self.reason = FailReason(reason)
        self.usage = usage or Usage()
        self.cost = cost or Cost()


class Engine(Protocol):
    """Analyses one file. Engines are shared by many handlers at once and bound what they do at once."""

    @property
    def name(self) -> str:
        """As asked for by a scan, e.g. ``static``."""

    @property
    def version(self) -> str:
        """Changes whenever the same content could have another analysis."""

    def identity(self, source: Source) -> str:
        """Everything besides content, name and version that decides the analysis (language, role, model, prompt)."""

    def worst_case_ticks(self, source: Source) -> int:
        """The most that one ``analyse`` can cost; 0 when it is free."""

    async def analyse(self, source: Source) -> Examined:
        """The analysis of the source.

        Raises:
            EngineFailed: nothing usable came of it, and trying again would not help.
            Retry: something passing was in the way.
        """


class Meter(Protocol):
    """The door to the money: nothing that costs is tried before its worst case is reserved."""

    async def reserve(self, queued: FileQueued, ticks: int) -> None:
        """Set the worst case of one attempt aside.

        Raises:
            Retry: the ledger cannot be reached, or has no room: the file stays queued and its scan is halted.
        """
