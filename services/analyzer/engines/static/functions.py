"""What is told of functions from their measures: which are hard to work on, their shapes, and the file's scores."""

from __future__ import annotations

import re
from dataclasses import dataclass

from libs.events.analyzer import Category, Severity, Shape
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind
from services.analyzer.engines.static.outline import Outline, Unit
from services.analyzer.engines.static.scores import Measured, complexity_score, maintainability_score
from services.analyzer.engines.static.shapes import MAX_SHAPES, MIN_LINES, shape
from services.analyzer.engines.static.tokens import tokens

_SCRIPTS = frozenset({"javascript", "typescript", "tsx"})
_MODULE = re.compile(r"^(?:import|export)\b", re.MULTILINE)
COMPLEX = 25
VERY_COMPLEX = 50
LONG = 200
BRANCHED = 10
"""A long function without branches is a table, or a signature with its documentation."""
DEEP = 6
MANY_PARAMETERS = 8


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The measures of a file."""

    complexity: int = 0
    maintainability: int = 100
    shapes: tuple[Shape, ...] = ()


def hard_functions(outline: Outline) -> list[Draft]:
    """A finding for each function that somebody will dread to change, with all its measures in one."""
    drafts = []
    for place, unit in enumerate(outline.units):
        if unit.is_function and (draft := _hard(unit, _own_lines(outline, place))):
            drafts.append(draft)
    return drafts


def unused_functions(outline: Outline, *, kind: Kind, text: str) -> list[Draft]:
    """Functions that no other file can reach and whose name is nowhere else in this one."""
    if "globals()" in text or "locals()" in text:
        return []
    reach = _is_local_in_script if kind.language in _SCRIPTS else _is_local_in_python
    if kind.language not in {"python", *_SCRIPTS}:
        return []
    return [
        _unused(unit)
        for unit in outline.units
        if unit.is_function and reach(unit, outline, text) and not _is_named_again(unit.name, text)
    ]


def _is_local_in_python(unit: Unit, outline: Outline, text: str) -> bool:
    """Inside another function, or with the two underscores that hide a method; what is decorated may be registered."""
    if unit.parent < 0 or unit.name.endswith("__") or _is_decorated(text, unit.start):
        return False
    return outline.units[unit.parent].is_function or unit.name.startswith("__")


def _is_local_in_script(unit: Unit, outline: Outline, text: str) -> bool:
    """Not exported from a module."""
    if unit.parent >= 0 or not text.startswith("function", unit.start):
        return False
    exported = "export" in text[max(0, unit.start - 30) : unit.start]
    return not exported and _MODULE.search(text) is not None


def _is_named_again(name: str, text: str) -> bool:
    """Whether the whole word is in the text a second time."""
    seen = 0
    place = text.find(name)
    while place >= 0 and seen < 2:
        around = text[place - 1 : place] + text[place + len(name) : place + len(name) + 1]
        seen += not any(letter.isalnum() or letter in "_$" for letter in around)
        place = text.find(name, place + 1)
    return seen > 1


def _is_decorated(text: str, start: int) -> bool:
    before = text[max(0, start - 500) : start].rstrip()
    return before.rpartition("\n")[2].lstrip().startswith("@")


def _unused(unit: Unit) -> Draft:
    return Draft(
        rule="static/unused-function",
        category=Category.REFACTORING,
        severity=Severity.LOW,
        title=f"{unit.name} is used nowhere",
        suggestion="Remove it.",
        start_line=unit.start_line,
        end_line=unit.end_line,
        cwe=561,
        confidence=0.8,
        code="",
        symbol=unit.symbol,
    )


def _hard(unit: Unit, own_lines: int) -> Draft | None:
    measures = {
        f"complexity {unit.complexity}": unit.complexity >= COMPLEX,
        f"{unit.lines} lines": own_lines >= LONG and unit.complexity >= BRANCHED,
        f"nested {unit.depth} deep": unit.depth >= DEEP,
        f"{unit.parameters} parameters": unit.parameters >= MANY_PARAMETERS,
    }
    reasons = [words for words, applies in measures.items() if applies]
    if not reasons:
        return None
    name = "Anonymous function" if unit.is_anonymous else unit.symbol
    return Draft(
        rule="static/hard-function",
        category=Category.REFACTORING,
        severity=Severity.MEDIUM if unit.complexity >= VERY_COMPLEX else Severity.LOW,
        title=f"{name} is hard to change: {', '.join(reasons)}",
        description=(
            f"McCabe complexity {unit.complexity} (above {COMPLEX} few read it right the first time), "
            f"{unit.lines} lines, nested {unit.depth} deep, {unit.parameters} required parameters."
        ),
        suggestion="Move its parts into functions with names; leave early instead of nesting.",
        start_line=unit.start_line,
        end_line=unit.end_line,
        confidence=0.8,
        code="",
        symbol=unit.symbol,
    )


def _own_lines(outline: Outline, place: int) -> int:
    """Lines without those of functions inside: a module wrapped in a function is not a long function."""
    unit = outline.units[place]
    inner = 0
    reached = unit.start_line
    for other in outline.units[place + 1 :]:
        if other.start >= unit.end:
            break
        if other.is_function and other.start_line >= reached:
            inner += other.lines
            reached = other.end_line
    return unit.lines - inner


def profile(outline: Outline, *, language: str, text: str, lines: list[str]) -> Profile:
    """Scores and shapes; both need the tokens of the longer functions."""
    measured: list[Measured] = []
    shapes: list[Shape] = []
    covered = 0
    outside: list[str] = []
    for unit in outline.functions:
        nested = unit.start < covered
        if not nested:
            outside.append(text[covered : unit.start])
            covered = unit.end
        if unit.lines < MIN_LINES or (nested and unit.is_anonymous):
            if not nested:
                measured.append(_short(unit, text))
            continue
        found = tokens(text[unit.start : unit.end], language)
        if not nested:
            measured.append(
                Measured(lines=unit.lines, complexity=unit.complexity, tokens=len(found), distinct=len(set(found)))
            )
        if (copy := shape(unit, found)) is not None:
            shapes.append(copy)
    outside.append(text[covered:])
    measured.append(_rest("".join(outside), outline.top_decisions, language))
    filled = sum(1 for line in lines if line and not line.isspace())
    return Profile(
        complexity=_complexity(outline, filled),
        maintainability=maintainability_score(measured),
        shapes=tuple(shapes[:MAX_SHAPES]),
    )


def _short(unit: Unit, text: str) -> Measured:
    """Short functions are measured by their words: close enough, and much cheaper."""
    words = text[unit.start : unit.end].split()
    return Measured(lines=unit.lines, complexity=unit.complexity, tokens=2 * len(words), distinct=len(set(words)) + 4)


def _rest(text: str, decisions: int, language: str) -> Measured:
    found = tokens(text, language)
    filled = sum(1 for line in text.split("\n") if line.strip())
    return Measured(lines=filled, complexity=decisions + 1, tokens=len(found), distinct=len(set(found)))


def _complexity(outline: Outline, lines: int) -> int:
    functions = outline.functions
    decisions = sum(unit.complexity - 1 for unit in functions) + outline.top_decisions
    worst = max((unit.complexity for unit in functions), default=0)
    return complexity_score(worst=max(worst, outline.top_decisions // 2 + 1), decisions=decisions, lines=lines)
