"""Replies of every kind of wrongness: no exception, no empty success, no complete finding lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.model.answers import MAX_KEPT, Answer, read

LAST = 40
SHOWN = range(1, LAST + 1)

titles = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60).map(
    lambda text: f"T{text}."
)
raw_findings = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(["sql-injection", "dead-code"]),
        "category": st.sampled_from([str(word) for word in Category]),
        "severity": st.sampled_from([str(word) for word in Severity]),
        "start_line": st.integers(1, LAST),
        "end_line": st.integers(1, LAST),
        "confidence": st.floats(0, 1),
        "cwe": st.none() | st.integers(1, 1400),
        "title": titles,
        "description": st.sampled_from(['It "breaks" {here}.', "A ``` fence [1].", "Back\\slash\nand line."]),
        "suggestion": st.just("Mend it."),
    }
)
raw_answers = st.fixed_dictionaries(
    {
        "summary": titles,
        "findings": st.lists(raw_findings, max_size=5, unique_by=lambda raw: " ".join(raw["title"].split())),
    }
)


def a_raw(**changes: Any) -> dict[str, Any]:
    usual = {"rule": "r", "category": "security", "severity": "high", "start_line": 3, "end_line": 4, "title": "Bad"}
    return {**usual, "confidence": 0.9, "cwe": None, "description": "Why.", "suggestion": "How.", **changes}


def a_text(*raws: Any) -> str:
    return json.dumps({"summary": "A file.", "findings": list(raws)})


def an_answer(text: str) -> Answer:
    return read(text, shown=SHOWN, last=LAST)


def the_finding(**changes: Any) -> Any:
    (finding,) = an_answer(a_text(a_raw(**changes))).findings
    return finding


def test_a_reply_as_it_should_be_is_clean_and_complete() -> None:
    answer = an_answer(a_text(a_raw()))

    assert (answer.state, answer.complete, answer.summary, len(answer.findings)) == ("clean", True, "A file.", 1)
    assert (answer.findings[0].rule, answer.findings[0].start_line, answer.findings[0].end_line) == ("llm/r", 3, 4)


def test_a_clean_empty_list_means_that_nothing_was_found() -> None:
    answer = an_answer(a_text())

    assert (answer.state, answer.complete, answer.findings) == ("clean", True, ())


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{a_text(a_raw())}\n```",
        f"Here is {{it}}: {a_text(a_raw())} Anything else about [1]?",
        f'<think>Maybe {{"findings": []}}?</think>{a_text(a_raw())}',
        json.dumps(a_text(a_raw())),
        json.dumps({"result": json.loads(a_text(a_raw()))}),
        json.dumps([a_raw()]),
        a_text(a_raw()).replace("}", ",}").replace("]", ",]"),
        a_text(a_raw()).replace('"', "'"),
        a_text(a_raw(description="the QnameQ is wrong")).replace("Q", '"'),
    ],
    ids=lambda text: text[:12],
)
def test_a_finding_is_had_whole_from_a_spoilt_wrapping(text: str) -> None:
    answer = an_answer(text)

    assert (answer.state, answer.complete) == ("repaired", True)
    assert [(finding.title, finding.start_line) for finding in answer.findings] == [("Bad", 3)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "null",
        "[]",
        "{}",
        "42",
        '{"findings": null}',
        '{"summary": "ok"}',
        '{"findings": {}}',
        "I found no issues.",
        "<html><body>Bad gateway</body></html>",
        a_text(None, 3, "x"),
        a_text(a_raw(start_line=LAST + 1)),
        a_text(a_raw(start_line=float("nan"))),
        a_text(a_raw())[:60],
        '{"findings": [',
        "[" * 100_000,
        "{" * 100_000,
        '{"findings": [' + '{"a":' * 50_000,
        "\\" * 1000,
        "\ud800",
    ],
)
def test_what_says_nothing_usable_is_no_success_and_names_its_fault(text: str) -> None:
    answer = an_answer(text)

    assert (answer.state, answer.complete, answer.findings) == ("unusable", False, ())
    assert answer.fault


def test_one_bad_finding_costs_only_itself_and_is_counted() -> None:
    answer = an_answer(a_text(a_raw(), a_raw(title="", description=""), a_raw(severity=7), a_raw(start_line=999), 5))

    assert len(answer.findings) == 1
    assert answer.dropped == {"no_title": 1, "unknown_severity": 1, "outside_file": 1, "not_an_object": 1}
    assert answer.state == "repaired"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Security", "security"),
        ("error handling", "error-handling"),
        ("ERROR_HANDLING", "error-handling"),
        ("bug", "correctness"),
        ("maintainability", "refactoring"),
        ("Very Performance", "performance"),
        ("securty", "security"),
    ],
)
def test_a_near_word_is_taken_for_the_category_it_means(said: str, meant: str) -> None:
    assert the_finding(category=said).category == meant


@pytest.mark.parametrize(
    ("said", "meant"), [("Blocker", "critical"), ("major", "high"), ("warning", "medium"), ("info", "low")]
)
def test_a_near_word_is_taken_for_the_severity_it_means(said: str, meant: str) -> None:
    assert the_finding(severity=said).severity == meant


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (0, 4, (1, 4)),
        ("12", "15", (12, 15)),
        ("L12-15", None, (12, 12)),
        ("line 7", 9.0, (7, 9)),
        (30, 10**30, (30, LAST)),
        (30, 2, (30, 30)),
        (5.0, True, (5, 5)),
        (5, float("inf"), (5, 5)),
    ],
)
def test_lines_are_mended_as_the_table_says(start: object, end: object, window: tuple[int, int]) -> None:
    finding = the_finding(start_line=start, end_line=end)

    assert (finding.start_line, finding.end_line) == window


@pytest.mark.parametrize("line", [-1, True, None, "soon", float("nan"), float("-inf"), [3], "-4", 10**30])
def test_a_finding_without_a_line_of_the_file_is_dropped(line: object) -> None:
    assert an_answer(a_text(a_raw(), a_raw(start_line=line))).dropped.total() == 1


def test_a_line_that_was_not_shown_is_none_to_report() -> None:
    answer = read(a_text(a_raw(start_line=3), a_raw(start_line=12)), shown=range(10, 20), last=LAST)

    assert [finding.start_line for finding in answer.findings] == [12]


@pytest.mark.parametrize(
    ("said", "meant"), [(85, 0.85), ("high", 0.9), (float("nan"), 0.7), (-1, 0.7), (10**400, 0.7), (True, 0.7)]
)
def test_confidence_is_a_share_whatever_was_said(said: object, meant: float) -> None:
    assert the_finding(confidence=said if said != 10**400 else 10**300).confidence == meant


def test_ten_thousand_findings_are_ranked_before_they_are_cut() -> None:
    many = [a_raw(title=f"t{n}", severity="low") for n in range(9_999)] + [a_raw(title="worst", severity="critical")]

    answer = an_answer(a_text(*many))

    assert (len(answer.findings), answer.cut, answer.findings[0].title) == (MAX_KEPT, 10_000 - MAX_KEPT, "worst")


def test_texts_are_bounded_and_hold_nothing_that_a_fact_cannot_carry() -> None:
    finding = the_finding(
        title="a\x00b\n" + "x" * 9_999, description="\ud800 half", cwe="CWE-89", rule="SQL Injection!"
    )

    assert (len(finding.title), finding.title[:4], finding.cwe) == (300, "ab x", 89)
    assert (finding.description, finding.rule) == ("? half", "llm/sql-injection")


@given(st.binary(max_size=300) | st.text(st.sampled_from('{}[]",:\\findgs titleNa1e`'), max_size=200).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise(data: bytes) -> None:
    answer = an_answer(data.decode("utf-8", "replace"))

    assert answer.state != "unusable" or (answer.fault and not answer.findings)


@given(raw_answers)
@settings(max_examples=100, deadline=None)
def test_a_valid_answer_keeps_all_its_findings(raw: dict[str, Any]) -> None:
    answer = an_answer(json.dumps(raw))

    assert (answer.state, answer.complete) == ("clean", True)
    assert sorted(finding.start_line for finding in answer.findings) == sorted(r["start_line"] for r in raw["findings"])


@given(raw_answers, st.data())
@settings(max_examples=200, deadline=None)
def test_a_reply_broken_off_anywhere_keeps_every_complete_finding(raw: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(raw)
    at = data.draw(st.integers(0, len(text) - 1))
    ends, reached = [], text.find('"findings"')
    for item in raw["findings"]:
        reached = text.index(json.dumps(item), reached) + len(json.dumps(item))
        ends.append(reached)
    whole = [item["start_line"] for item, end in zip(raw["findings"], ends, strict=True) if end <= at]

    answer = an_answer(text[:at])

    assert sorted(finding.start_line for finding in answer.findings) == sorted(whole)
    assert not answer.complete
