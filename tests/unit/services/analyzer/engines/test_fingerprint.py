"""A finding keeps its fingerprint whatever moves around it, and loses it when its code changes."""

from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from libs.events.analyzer import FileAnalysis
from services.analyzer.engines.fingerprint import Spot, fingerprints, normalise
from services.analyzer.engines.static.examine import complete, examine, prepare
from services.analyzer.engines.static.frames import Request
from services.analyzer.engines.static.languages import Kind

CODE = """\
function first(a) {
  eval(a)
  eval(a)
  if (a.b === a.b) { debugger }
}
function second(b) {
  return eval(b)
}
"""
LINES = st.lists(st.sampled_from(["", "// a comment", "const x = 1;", "function third() {\n  return 3\n}"]), max_size=6)


def analysed(code: str, language: str = "javascript") -> FileAnalysis:
    kind = Kind(language=language, role="source")
    draught = prepare(Request(kind=kind, content=code.encode(), given_up={}))
    examine(draught, lambda tool: None)
    return complete(draught)


def marks(code: str) -> set[tuple[str, str]]:
    return {(finding.rule, finding.fingerprint) for finding in analysed(code).findings}


@given(LINES)
def test_lines_inserted_above_keep_every_fingerprint(lines: list[str]) -> None:
    assert marks("\n".join([*lines, CODE])) >= marks(CODE)


@given(st.integers(0, 12), st.booleans())
def test_other_indentation_and_blank_lines_keep_every_fingerprint(spaces: int, blank: bool) -> None:
    moved = textwrap.indent(CODE, " " * spaces)

    assert marks(moved.replace("\n", "\n\n") if blank else moved) == marks(CODE)


@given(st.sampled_from(["return 7", "const eval2 = 1", "if (b) { second(b - 1) }"]))
def test_editing_another_function_keeps_the_fingerprints_of_this_one(line: str) -> None:
    changed = CODE.replace("  return eval(b)", f"  {line}")

    kept = {finding.fingerprint for finding in analysed(changed).findings}

    assert {finding.fingerprint for finding in analysed(CODE).findings if finding.symbol == "first"} <= kept


@given(st.from_regex(r"[c-z]{2,8}", fullmatch=True))
def test_changing_the_flagged_code_changes_its_fingerprint(name: str) -> None:
    changed = CODE.replace("return eval(b)", f"return eval({name}(b))")

    before = {f.fingerprint for f in analysed(CODE).findings if f.symbol == "second"}
    after = {f.fingerprint for f in analysed(changed).findings if f.symbol == "second"}

    assert before
    assert after
    assert not before & after


@given(st.lists(st.tuples(*(st.sampled_from(["a", "b", "a b", ""]) for _ in range(3)))))
def test_fingerprints_are_unique_within_a_file(parts: list[tuple[str, str, str]]) -> None:
    spots = [Spot(rule=rule, symbol=symbol, code=code) for rule, symbol, code in parts]

    assert len(set(fingerprints(spots))) == len(spots)


@given(st.text(), st.sampled_from([" ", "\t", "\n", "\r\n", "  "]))
def test_white_space_does_not_matter(code: str, space: str) -> None:
    assert normalise(space.join(code)) == normalise(code)
