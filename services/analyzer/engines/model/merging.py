"""One analysis made of what the static engine and the model found: the same problem named once, by both."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from libs.events.analyzer import SEVERITY_ORDER, FileAnalysis, Finding
from services.analyzer.engines.fingerprint import Spot, fingerprints
from services.analyzer.engines.static.drafts import MAX_FINDINGS, MAX_TEXT, Draft, bounded

NEAR = 2
"""Lines that two reports of the same problem may lie apart."""


def findings_of(drafts: Sequence[Draft], *, analysis: FileAnalysis, lines: Sequence[str]) -> list[Finding]:
    """Findings whose fingerprints outlive another wording: made of category, function and the first line flagged."""
    ordered = sorted(dict.fromkeys(drafts), key=lambda draft: (draft.start_line, draft.category, draft.title))
    symbols = [_symbol_at(draft.start_line, analysis) for draft in ordered]
    marks = fingerprints(
        Spot(rule=_stable_rule(draft), symbol=symbol, code=lines[draft.start_line - 1])
        for draft, symbol in zip(ordered, symbols, strict=True)
    )
    return [_finding(*parts) for parts in zip(ordered, symbols, marks, strict=True)]


def merge(static: Sequence[Finding], model: Sequence[Finding]) -> tuple[list[Finding], int]:
    """All of them, worst first, and how many were left out. What both found keeps the static engine's name."""
    merged = list(static)
    for finding in model:
        place = next((place for place, other in enumerate(merged) if _same(finding, other)), None)
        if place is None:
            merged.append(finding)
        else:
            merged[place] = _united(merged[place], finding)
    ranked = sorted(_told_apart(merged), key=_rank)
    return ranked[:MAX_FINDINGS], max(0, len(ranked) - MAX_FINDINGS)


def _stable_rule(draft: Draft) -> str:
    """A model names the same problem differently from day to day; our own rules are as they are."""
    return f"llm/{draft.category}" if draft.rule.startswith("llm/") else draft.rule


def _symbol_at(line: int, analysis: FileAnalysis) -> str:
    """The innermost of the functions that the static engine tells of."""
    around = [shape for shape in analysis.shapes if shape.start_line <= line <= shape.end_line]
    return min(around, key=lambda shape: shape.end_line - shape.start_line).symbol if around else ""


def _finding(draft: Draft, symbol: str, fingerprint: str) -> Finding:
    return Finding(
        rule=draft.rule,
        category=draft.category,
        severity=draft.severity,
        title=draft.title,
        description=draft.description,
        suggestion=draft.suggestion,
        start_line=draft.start_line,
        end_line=draft.end_line,
        symbol=symbol,
        cwe=draft.cwe,
        confidence=draft.confidence,
        fingerprint=fingerprint,
    )


def _same(finding: Finding, other: Finding) -> bool:
    if other.rule.startswith("llm/") or not finding.rule.startswith("llm/"):
        return (finding.rule, finding.start_line) == (other.rule, other.start_line)
    return (
        finding.category == other.category
        and abs(finding.start_line - other.start_line) <= NEAR
        and abs(finding.end_line - other.end_line) <= 5 * NEAR
    )


def _united(static: Finding, model: Finding) -> Finding:
    if static.rule == model.rule:
        return static
    said = f"{static.description} {model.rule}: {model.title}. {model.description}".strip()
    return static.model_copy(
        update={
            "severity": min(static.severity, model.severity, key=SEVERITY_ORDER.index),
            "confidence": max(static.confidence, model.confidence),
            "description": bounded(said, MAX_TEXT),
            "suggestion": static.suggestion or model.suggestion,
            "cwe": static.cwe or model.cwe,
        }
    )


def _told_apart(findings: Sequence[Finding]) -> list[Finding]:
    """A fingerprint names one finding; a second one that came by the same gets its own."""
    seen: dict[str, int] = {}
    result = []
    for finding in findings:
        count = seen[finding.fingerprint] = seen.get(finding.fingerprint, -1) + 1
        if count:
            mark = blake2b(f"{finding.fingerprint}/{count}".encode(), digest_size=8).hexdigest()
            finding = finding.model_copy(update={"fingerprint": mark})
        result.append(finding)
    return result


def _rank(finding: Finding) -> tuple[int, float, int, str]:
    return SEVERITY_ORDER.index(finding.severity), -finding.confidence, finding.start_line, finding.fingerprint
