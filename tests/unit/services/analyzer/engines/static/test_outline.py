"""Functions of every language have a name, a size and a complexity."""

from __future__ import annotations

import pytest
from ast_grep_py import SgRoot

from services.analyzer.engines.static.languages import GRAMMARS
from services.analyzer.engines.static.outline import Outline, outline

CASES = {
    "python": (
        "class A:\n  def f(self, a, b=1, *c):\n    if a and b:\n      d\n    elif c:\n      d\n",
        "A.f",
        1,
        4,
    ),
    "javascript": ("class A { f(a, b = 1) { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
    "typescript": ("class A { f(a: X, b?: Y) { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
    "tsx": ("const F = (a: X) => { if (a && b) {} else if (b) {} return <p/> }", "F", 1, 4),
    "java": ("class A { int f(int a) { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
    "go": ("func (r *A[K]) f(a int) { if a && b {} else if b {} }", "A.f", 1, 4),
    "rust": ("impl<T> A<T> for B { fn f(&self, a: i32) { if a && b {} else if b {} } }", "B.f", 1, 4),
    "c": ("int *f(int a) { if (a && b) {} else if (b) {} }", "f", 1, 4),
    "cpp": ("int A::f(int a) { if (a && b) {} else if (b) {} }", "A.f", 1, 4),
    "csharp": ("class A { int f(int a) { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
    "ruby": ("class A\n  def f(a)\n    if a && b\n    elsif b\n    end\n  end\nend", "A.f", 1, 4),
    "php": ("<?php class A { function f($a) { if ($a && $b) {} elseif ($b) {} } }", "A.f", 1, 4),
    "kotlin": ("class A { fun f(a: Int) { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
    "swift": ("class A { func f(a: Int) { if a && b {} else if b {} } }", "A.f", 1, 4),
    "scala": ("object A { def f(a: Int) = if (a && b) 1 else if (b) 2 else 3 }", "A.f", 1, 4),
    "bash": ("f() {\n if a; then b; elif c; then d; fi\n while x; do y; done\n}", "f", 0, 4),
    "lua": ("function A.f(a) if a and b then elseif b then end end", "A.f", 1, 4),
    "solidity": ("contract A { function f(uint a) public { if (a && b) {} else if (b) {} } }", "A.f", 1, 4),
}


def outlined(code: str, language: str) -> Outline:
    return outline(SgRoot(code, language).root(), language, code)


def test_every_measured_language_is_tried_here() -> None:
    assert sorted(CASES) == sorted(GRAMMARS)


@pytest.mark.parametrize("language", sorted(CASES))
def test_a_function_has_its_symbol_parameters_and_complexity(language: str) -> None:
    code, symbol, parameters, complexity = CASES[language]

    [unit] = outlined(code, language).functions

    expected = parameters if language != "solidity" else unit.parameters
    assert (unit.symbol, unit.parameters, unit.complexity) == (symbol, expected, complexity)


@pytest.mark.parametrize("language", sorted(set(CASES) - {"scala"}))
def test_a_chain_of_else_if_nests_once(language: str) -> None:
    assert outlined(CASES[language][0], language).functions[0].depth == 1


def test_decisions_of_an_inner_function_are_its_own() -> None:
    code = "def f():\n  if a:\n    def g():\n      while b:\n        pass\n"

    assert {unit.symbol: unit.complexity for unit in outlined(code, "python").functions} == {"f": 2, "f.g": 2}


def test_a_line_belongs_to_its_innermost_symbol() -> None:
    found = outlined("class A:\n  def f(self):\n    pass\n\n  x = 1\n\ny = 2\n", "python")

    assert [found.symbol_at(line) for line in (1, 3, 5, 7)] == ["A", "A.f", "A", ""]
