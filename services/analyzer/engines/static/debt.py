"""Debt that its authors wrote down themselves: TODO, FIXME, HACK and XXX, in comments only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ast_grep_py import SgNode

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft, bounded
from services.analyzer.engines.static.languages import GRAMMARS

MAX_SINGLE = 2
_MARKER = re.compile(r"(?<![\w/.\-])(TODO|FIXME|HACK|XXX)(?![\w/\-])(?:\([^)\n]{0,60}\))?[:\s-]*([^\n]*)")
_LINE_COMMENT = re.compile(r"(?:^|[\s;{}])(?:#|//|--|/\*|<!--|;|%|\"\"\")\s*([^\n]*)")
_NEVER_COMMENTS = frozenset({"markdown", "restructuredtext", "text", "json", "unknown"})
_SUGGESTION = "Do it, or turn it into a ticket and say its number here."

Place = tuple[int, str, str]
"""The line, the marker and what follows it."""


def debt(root: SgNode | None, *, language: str, text: str, lines: list[str]) -> list[Draft]:
    """A finding for each marker; one for the whole file where there are many."""
    if not any(word in text for word in ("TODO", "FIXME", "HACK", "XXX")):
        return []
    grammar = GRAMMARS.get(language)
    if grammar is not None and root is not None:
        places = list(_in_nodes(root, grammar.comments))
    else:
        places = [] if language in _NEVER_COMMENTS else list(_in_lines(lines))
    return [_single(place) for place in places] if len(places) <= MAX_SINGLE else [_grouped(places)]


def _in_nodes(root: SgNode, kinds: Iterable[str]) -> Iterator[Place]:
    for node in root.find_all(any=[{"kind": kind} for kind in kinds], regex=r"\b(TODO|FIXME|HACK|XXX)\b"):
        first = node.range().start.line + 1
        for offset, line in enumerate(node.text().split("\n")):
            if match := _MARKER.search(line):
                yield first + offset, match[1], match[2]


def _in_lines(lines: list[str]) -> Iterator[Place]:
    for number, line in enumerate(lines, 1):
        comment = _LINE_COMMENT.search(line) if len(line) < 2000 else None
        if comment and (match := _MARKER.search(comment[1])):
            yield number, match[1], match[2]


def _single(place: Place) -> Draft:
    line, marker, words = place
    words = words.strip().removesuffix("*/").removesuffix("-->").strip()
    return Draft(
        rule=f"static/{marker.lower()}",
        category=Category.REFACTORING,
        severity=Severity.LOW,
        title=bounded(f"{marker}: {words}" if words else f"{marker} comment without a word", 160),
        suggestion=_SUGGESTION,
        start_line=line,
        end_line=line,
        confidence=0.6,
    )


def _grouped(places: list[Place]) -> Draft:
    numbers = ", ".join(str(line) for line, _, _ in places[:20]) + (" …" if len(places) > 20 else "")
    return Draft(
        rule="static/debt",
        category=Category.REFACTORING,
        severity=Severity.LOW,
        title=f"{len(places)} TODO, FIXME, HACK or XXX comments",
        description=f"Lines {numbers}.",
        suggestion=_SUGGESTION,
        start_line=places[0][0],
        end_line=places[0][0],
        confidence=0.6,
        code="",
        symbol="",
    )
