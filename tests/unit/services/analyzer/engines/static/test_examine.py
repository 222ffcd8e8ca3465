"""One file through all tools gives one analysis."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.analyzer import FileAnalysis, Severity
from services.analyzer.engines.static import examine as examine_module
from services.analyzer.engines.static.drafts import MAX_FINDINGS
from services.analyzer.engines.static.examine import complete, examine, prepare
from services.analyzer.engines.static.frames import Request
from services.analyzer.engines.static.languages import kind_of


def analysed(path: str, content: str | bytes, given_up: dict[str, str] | None = None) -> FileAnalysis:
    data = content.encode() if isinstance(content, str) else content
    draught = prepare(Request(kind=kind_of(path, data), content=data, given_up=given_up or {}))
    examine(draught, lambda tool: None)
    return complete(draught)


def test_a_summary_names_the_hardest_function() -> None:
    analysis = analysed(
        "a.py", "def f(): pass\n\nclass Parser:\n    def parse(self):\n        if a:\n            return 1\n"
    )

    assert analysis.summary == (
        "Python module of 6 lines, 2 functions; the hardest is Parser.parse (complexity 2, 3 lines)."
    )


def test_a_complex_function_makes_a_complex_file_and_a_finding() -> None:
    body = "".join(f"    if x == {n}:\n        y += {n}\n" for n in range(30))
    analysis = analysed("a.py", f"def f(x):\n    y = 0\n{body}    return y\n")

    assert [finding.rule for finding in analysis.findings] == ["static/hard-function"]
    assert analysis.complexity > 60
    assert analysis.maintainability < 60


def test_a_plain_file_is_simple_and_easy_to_maintain() -> None:
    analysis = analysed("a.py", "def f(x):\n    return x + 1\n")

    assert analysis.complexity < 10
    assert analysis.maintainability > 70


def test_copies_under_other_names_have_one_shape() -> None:
    body = "    total = 0\n" + "".join(f"    total += values[{n}] * {n}\n" for n in range(12)) + "    return total\n"
    other = body.replace("total", "summe").replace("values", "zahlen")
    analysis = analysed("a.py", f"def f(values):\n{body}\n\ndef g(zahlen):\n    # the same\n{other}\n")

    assert [shape.symbol for shape in analysis.shapes] == ["f", "g"]
    assert len({shape.hash for shape in analysis.shapes}) == 1


def test_short_functions_have_no_shape() -> None:
    assert analysed("a.py", "def f(x):\n    return x\n").shapes == []


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("a.py", "import os, a.b as c\nfrom ..x import Y, z\nfrom . import w", ["os", "a.b", "..x", "..x.z", ".w"]),
        ("a.ts", "import x from './x'\nexport * from \"y\"\nconst z = require('z')", ["./x", "y", "z"]),
        ("a.go", 'package a\n\nimport (\n\t"fmt"\n\tx "a.b/c"\n)\n', ["fmt", "a.b/c"]),
        ("a.rs", "use std::io;\nmod parser;\n", ["std::io", "parser"]),
        ("A.java", "import java.util.List;\nimport static a.B.c;\n", ["java.util.List", "a.B.c"]),
        ("a.c", '#include <stdio.h>\n#include "a.h"\n', ["stdio.h", "a.h"]),
        ("a.rb", "require 'json'\nrequire_relative 'b'\n", ["json", "b"]),
        ("A.cs", "using System.Text;\n", ["System.Text"]),
        ("a.php", "<?php\nuse App\\Models\\User;\nrequire_once 'b.php';\n", ["App\\Models\\User", "b.php"]),
        ("a.sh", "source ./lib.sh\n. other.sh\n", ["./lib.sh", "other.sh"]),
    ],
)
def test_imports_are_told_as_written(path: str, code: str, named: list[str]) -> None:
    assert analysed(path, code).imports == named


def test_debt_is_read_from_comments_only() -> None:
    analysis = analysed("a.py", 'x = "TODO: not this"\n# TODO: but this\n')

    assert [(finding.title, finding.start_line) for finding in analysis.findings] == [("TODO: but this", 2)]


def test_much_debt_is_one_finding() -> None:
    analysis = analysed("a.go", "package a\n" + "// FIXME later\n" * 9)

    assert [finding.title for finding in analysis.findings] == ["9 TODO, FIXME, HACK or XXX comments"]


def test_debt_is_read_where_no_grammar_is_known() -> None:
    assert [finding.rule for finding in analysed("a.sql", "-- FIXME: slow\nSELECT 1\n").findings] == ["static/fixme"]


@pytest.mark.parametrize(
    ("path", "code", "unused"),
    [
        ("a.py", "def f():\n    def g():\n        pass\n\n    def h():\n        pass\n\n    return h\n", ["f.g"]),
        ("a.py", "class A:\n    def __f(self): ...\n    def __g(self): ...\n    def h(self): self.__g()\n", ["A.__f"]),
        ("a.py", "def f(app):\n    @app.route('/')\n    def g(): ...\n", []),
        ("a.py", "def _helper():\n    pass\n", []),
        ("a.js", "import x from 'x'\nfunction f() {}\nfunction g() {}\nexport function h() { g() }\n", ["f"]),
        ("a.js", "function f() {}\n", []),
    ],
)
def test_a_function_out_of_reach_that_nothing_names_is_told(path: str, code: str, unused: list[str]) -> None:
    findings = analysed(path, code).findings

    assert [finding.symbol for finding in findings if finding.rule == "static/unused-function"] == unused


def test_a_long_signature_is_no_hard_function() -> None:
    parameters = "".join(f"    a{n}=None,  # what it is for\n" for n in range(300))

    assert analysed("a.py", f"def f(\n{parameters}):\n    return a1\n").findings == []


def test_findings_are_ranked_and_cut_with_their_count() -> None:
    analysis = analysed("a.js", "".join(f"eval(a{n})\nif (b{n} = 1) c()\nthrow 'x{n}'\n" for n in range(90)))

    ranks = [list(Severity).index(finding.severity) for finding in analysis.findings]
    assert ranks == sorted(ranks)
    assert len(analysis.findings) <= MAX_FINDINGS
    assert len({finding.fingerprint for finding in analysis.findings}) == len(analysis.findings)


def test_a_tool_that_panics_costs_only_its_own_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: object, **__: object) -> None:
        raise Panic

    monkeypatch.setattr(examine_module, "matches", panic)

    analysis = analysed("a.js", "// TODO: mend\neval(x)\n")

    assert (analysis.outcome, analysis.partial_reasons) == ("partial", ["rules: crash (Panic)"])
    assert [finding.rule for finding in analysis.findings] == ["static/todo"]


def test_a_tool_given_up_before_is_not_tried_again() -> None:
    analysis = analysed("a.js", "// TODO: mend\neval(x)\n", {"ast-grep": "timeout"})

    assert analysis.partial_reasons == ["ast-grep: timeout"]
    assert [finding.rule for finding in analysis.findings] == ["static/todo"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x = '" + b"a" * 3_000_000 + b"'", "too large to parse"),
        (b"x = '" + b"a" * 30_000 + b"'", "line too long to parse"),
        (b"(\n" * 200_000 + b")" * 200_000, "too large to parse"),
        (b"(" * 2_000 + b")" * 2_000, "nested too deeply to parse"),
    ],
)
def test_hostile_content_is_kept_from_the_parser(content: bytes, reason: str) -> None:
    analysis = analysed("a.py", content)

    assert analysis.outcome == "partial"
    assert reason in analysis.partial_reasons[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0\0\0",
        b"def f():\0 pass\n",
        b"\xff\xfe" + "def f(): pass\n".encode("utf-16-le"),
        b"\xef\xbb\xbfdef f(): pass\n",
        b"# \xe9\xff\xfe\ndef f(): pass\n",
        b"def f():\r\n\treturn 1\r\n",
        b"\xff\xfe\x00",
        "def f(): return '\U0001f600' # TODO: \ud7ff".encode(),
    ],
)
def test_odd_bytes_are_analysed(content: bytes) -> None:
    analysis = analysed("a.py", content)

    assert analysis.outcome == "complete"
    assert all(1 <= finding.start_line <= max(1, analysis.lines) for finding in analysis.findings)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.py", "a.ts", "a.go", "a.rs", "a.c", "a.php", "a.yml", "a"]))
def test_any_bytes_have_an_analysis_and_always_the_same(content: bytes, path: str) -> None:
    assert analysed(path, content).model_dump_json() == analysed(path, content).model_dump_json()


def test_lines_are_counted_whatever_ends_them() -> None:
    assert [analysed("a.py", text).lines for text in ("a\nb\n", "a\r\nb", "a\rb\r", "")] == [2, 2, 2, 0]
