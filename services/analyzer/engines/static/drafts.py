"""Findings before they have a symbol and a fingerprint, and how they become ranked findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.events.analyzer import SEVERITY_ORDER, Category, Finding, Severity
from services.analyzer.engines.fingerprint import Spot, code_of_lines, fingerprints
from services.analyzer.engines.static.outline import Outline

MAX_FINDINGS = 200
MAX_TITLE = 300
MAX_TEXT = 2000


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a tool reports. ``code`` replaces the flagged lines in the fingerprint, e.g. where they hold a secret."""

    rule: str
    category: Category
    severity: Severity
    title: str
    start_line: int
    end_line: int
    description: str = ""
    suggestion: str = ""
    cwe: int | None = None
    confidence: float = 1.0
    code: str | None = None
    symbol: str | None = None


def finish(drafts: Sequence[Draft], *, outline: Outline, lines: list[str]) -> tuple[list[Finding], int]:
    """The findings, worst first, and how many were left out."""
    ordered = sorted(drafts, key=lambda draft: (draft.start_line, draft.rule, draft.end_line, draft.title))
    symbols = [outline.symbol_at(draft.start_line) if draft.symbol is None else draft.symbol for draft in ordered]
    marks = fingerprints(
        Spot(rule=draft.rule, symbol=symbol, code=_code(draft, lines))
        for draft, symbol in zip(ordered, symbols, strict=True)
    )
    findings = [_finding(*parts, last=len(lines)) for parts in zip(ordered, symbols, marks, strict=True)]
    findings.sort(key=_rank)
    return findings[:MAX_FINDINGS], max(0, len(findings) - MAX_FINDINGS)


def _code(draft: Draft, lines: list[str]) -> str:
    return code_of_lines(lines, draft.start_line, draft.end_line) if draft.code is None else draft.code


def _finding(draft: Draft, symbol: str, fingerprint: str, *, last: int) -> Finding:
    start = min(max(1, draft.start_line), max(1, last))
    return Finding(
        rule=draft.rule,
        category=draft.category,
        severity=draft.severity,
        title=bounded(draft.title, MAX_TITLE),
        description=bounded(draft.description, MAX_TEXT),
        suggestion=bounded(draft.suggestion, MAX_TEXT),
        start_line=start,
        end_line=min(max(start, draft.end_line), max(1, last)),
        symbol=bounded(symbol, 300),
        cwe=draft.cwe,
        confidence=draft.confidence,
        fingerprint=fingerprint,
    )


def _rank(finding: Finding) -> tuple[int, float, int, str, str]:
    severity = SEVERITY_ORDER.index(finding.severity)
    return severity, -finding.confidence, finding.start_line, finding.rule, finding.fingerprint


def bounded(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
