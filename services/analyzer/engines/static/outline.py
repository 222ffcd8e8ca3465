"""The functions of a file with their size and complexity, from one walk over the parsed tree.

Complexity is McCabe's: one more than the decisions in a function's own body, not in functions inside it. A chain of
``else if`` counts each condition, but nests only once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ast_grep_py import SgNode

from services.analyzer.engines.static.languages import GRAMMARS, Grammar

ANONYMOUS = "(anonymous)"
_RECEIVER = re.compile(r"(\w+)(?:\[[^\]]*\])?\s*\)$")
_NAME_KINDS = frozenset({"simple_identifier", "type_identifier", "identifier", "constant"})
_NAMES_FOLLOW = frozenset({"keyword_separator", "list_splat_pattern"})
_IMPLICIT_PARAMETERS = frozenset({"self", "cls", "&self", "&mut self", "mut self", "this", "*", "/"})


@dataclass(kw_only=True)
class Unit:
    """A function, or a class, module or ``impl`` that holds functions."""

    name: str
    symbol: str
    is_function: bool
    start: int
    end: int
    start_line: int
    end_line: int
    parent: int
    """The place of the enclosing unit in the outline, -1 for none."""
    parameters: int = 0
    """Without defaults."""
    complexity: int = 1
    depth: int = 0

    @property
    def lines(self) -> int:
        return self.end_line - self.start_line + 1

    @property
    def is_anonymous(self) -> bool:
        return self.name == ANONYMOUS


@dataclass(frozen=True)
class Outline:
    """All units in the order in which they start, and the decisions outside every function."""

    units: Sequence[Unit] = ()
    top_decisions: int = 0
    imports: Sequence[str] = ()
    """Import statements, where the grammar tells them."""
    _starts: list[int] = field(default_factory=list)

    @property
    def functions(self) -> list[Unit]:
        return [unit for unit in self.units if unit.is_function]

    def symbol_at(self, line: int) -> str:
        """The dotted name of the innermost unit that holds the line; empty outside all."""
        unit = self._unit_at(line)
        return unit.symbol if unit else ""

    def _unit_at(self, line: int) -> Unit | None:
        place = bisect_right(self._starts, line) - 1
        while place >= 0:
            unit = self.units[place]
            if unit.end_line >= line:
                return unit
            place = unit.parent
        return None


@dataclass
class _Open:
    """A node that the walk is inside of."""

    end: int
    unit: int
    depth: int


def outline(root: SgNode, language: str, text: str) -> Outline:
    """Walks all interesting nodes in the order of the text with the stack of those that are still open."""
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return Outline()
    walk = _Walk(grammar, language, text)
    for node in root.find_all(_interesting(language)):
        walk.visit(node)
    return Outline(walk.units, walk.top_decisions, walk.imports, [unit.start_line for unit in walk.units])


class _Walk:
    """Holds what is open while the nodes go by."""

    def __init__(self, grammar: Grammar, language: str, text: str) -> None:
        self.units: list[Unit] = []
        self.top_decisions = 0
        self.imports: list[str] = []
        self._open = [_Open(len(text) + 1, -1, 0)]
        self._functions = frozenset(grammar.functions)
        self._containers = frozenset(grammar.containers)
        self._decisions = frozenset((*grammar.decisions, *(grammar.logic_kinds if grammar.logic else ())))
        self._nesting = frozenset(grammar.nesting)
        self._imports = frozenset(grammar.imports)
        self._language = language
        self._text = text

    def visit(self, node: SgNode) -> None:
        span = node.range()
        start, end = span.start.index, span.end.index
        while self._open[-1].end <= start:
            self._open.pop()
        kind = node.kind()
        if kind in self._functions or kind in self._containers:
            self._enter(node, kind in self._functions)
            return
        if kind in self._decisions:
            self._count()
        if kind in self._nesting:
            self._nest(start, end)
        elif kind in self._imports:
            self.imports.append(node.text())

    def _enter(self, node: SgNode, is_function: bool) -> None:
        outer = self._open[-1]
        span = node.range()
        name = _name(node, self._language)
        prefix = self.units[outer.unit].symbol + "." if outer.unit >= 0 else ""
        unit = Unit(
            name=name,
            symbol=(prefix + name)[:300],
            is_function=is_function,
            start=span.start.index,
            end=span.end.index,
            start_line=span.start.line + 1,
            end_line=span.end.line + (1 if span.end.column or span.end.line == span.start.line else 0),
            parent=outer.unit,
            parameters=_parameters(node) if is_function else 0,
        )
        self.units.append(unit)
        self._open.append(_Open(unit.end, len(self.units) - 1, 0))

    def _function(self) -> Unit | None:
        place = self._open[-1].unit
        while place >= 0 and not self.units[place].is_function:
            place = self.units[place].parent
        return self.units[place] if place >= 0 else None

    def _count(self) -> None:
        function = self._function()
        if function is None:
            self.top_decisions += 1
        else:
            function.complexity += 1

    def _nest(self, start: int, end: int) -> None:
        outer = self._open[-1]
        depth = outer.depth + (0 if self._text[max(0, start - 12) : start].rstrip().endswith("else") else 1)
        self._open.append(_Open(end, outer.unit, depth))
        if outer.unit >= 0:
            unit = self.units[outer.unit]
            unit.depth = max(unit.depth, depth)


@cache
def _interesting(language: str) -> Any:
    grammar = GRAMMARS[language]
    kinds = sorted({*grammar.functions, *grammar.containers, *grammar.decisions, *grammar.nesting, *grammar.imports})
    rules: list[dict[str, Any]] = [{"kind": kind} for kind in kinds]
    if grammar.logic:
        operator = {"regex": f"^({'|'.join(map(re.escape, grammar.logic))})$"}
        rules += [{"kind": kind, "has": operator} for kind in grammar.logic_kinds]
    return {"rule": {"any": rules}}


def _name(node: SgNode, language: str) -> str:
    named = node.field("name")
    if named is not None:
        return _method_of(node, named.text()) if language == "go" else named.text()[:120]
    if language in {"c", "cpp"}:
        return _declared_name(node)
    if node.kind() == "impl_item":
        implemented = node.field("type")
        return re.split(r"[<\s]", implemented.text())[0] if implemented else ANONYMOUS
    if language in {"javascript", "typescript", "tsx", "lua"}:
        return _assigned_name(node)
    return next((child.text() for child in node.children() if child.kind() in _NAME_KINDS), ANONYMOUS)


def _method_of(node: SgNode, name: str) -> str:
    receiver = node.field("receiver")
    match = _RECEIVER.search(receiver.text()) if receiver else None
    return f"{match[1]}.{name}" if match else name


def _declared_name(node: SgNode) -> str:
    declarator = _function_declarator(node)
    name = declarator.field("declarator") if declarator else None
    return "".join(name.text().split())[:120].replace("::", ".") if name else ANONYMOUS


def _function_declarator(node: SgNode) -> SgNode | None:
    declarator = node.field("declarator")
    while declarator is not None and declarator.field("parameters") is None:
        declarator = declarator.field("declarator")
    return declarator


def _assigned_name(node: SgNode) -> str:
    parent = node.parent()
    if parent is None:
        return ANONYMOUS
    for place in ("name", "left", "key", "property"):
        target = parent.field(place)
        if target is not None:
            text = target.text()
            return text if len(text) <= 120 and "\n" not in text else ANONYMOUS
    return ANONYMOUS


def _parameters(node: SgNode) -> int:
    """Those that every caller has to give."""
    listed = node.field("parameters")
    if listed is None and (declarator := _function_declarator(node)) is not None:
        listed = declarator.field("parameters")
    if listed is None:
        listed = next((child for child in node.children() if child.kind() == "function_value_parameters"), None)
    if listed is None:
        return sum(child.kind() == "parameter" for child in node.children())
    return sum(_is_required(child) for child in _positional(listed))


def _positional(listed: SgNode) -> Iterator[SgNode]:
    """Up to where a caller has to write names, which is no burden."""
    for child in listed.children():
        if child.kind() in _NAMES_FOLLOW:
            return
        if child.is_named():
            yield child


def _is_required(parameter: SgNode) -> bool:
    kind = parameter.kind()
    if any(word in kind for word in ("comment", "default", "optional", "assignment", "splat")):
        return False
    return parameter.text() not in _IMPLICIT_PARAMETERS
