"""Every rule has code that it must flag and code that it must not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ast_grep_py import SgRoot

from services.analyzer.engines.static.languages import Kind
from services.analyzer.engines.static.rulebook import all_rules, config_of, matches

CASES = yaml.safe_load((Path(__file__).parent / "rules.yml").read_text("utf-8"))


def found(language: str, code: str, role: str = "source") -> set[str]:
    kind = Kind(language=language, role=role)  # type: ignore[arg-type]
    return {
        draft.rule for draft in matches(SgRoot(code, language).root(), kind=kind, text=code, lines=code.split("\n"))
    }


@pytest.mark.parametrize(
    ("rule", "language", "bad"), [(rule, case[0], case[1]) for rule, cases in CASES.items() for case in cases]
)
def test_a_rule_flags_what_it_is_for(rule: str, language: str, bad: str) -> None:
    assert rule in found(language, bad)


@pytest.mark.parametrize(
    ("rule", "language", "good"), [(rule, case[0], case[2]) for rule, cases in CASES.items() for case in cases]
)
def test_a_rule_leaves_good_code_alone(rule: str, language: str, good: str) -> None:
    assert rule not in found(language, good)


def test_every_rule_has_examples_and_every_example_a_rule() -> None:
    assert sorted(rule.id for rule in all_rules()) == sorted(CASES)


@pytest.mark.parametrize(("rule", "language"), [(rule, name) for rule in all_rules() for name in rule.languages])
def test_a_rule_is_valid_in_each_of_its_languages(rule, language) -> None:
    assert SgRoot("", language).root().find_all(config_of(rule, language)) == []


def test_debugging_leftovers_in_tests_are_told_but_console_output_is_not() -> None:
    assert found("javascript", "debugger; console.log(1)", role="test") == {"js/debugger"}


def test_many_matches_of_a_grouped_rule_are_one_finding() -> None:
    code = "console.log(1)\n" * 7
    kind = Kind(language="javascript", role="source")

    [draft] = matches(SgRoot(code, "javascript").root(), kind=kind, text=code, lines=code.split("\n"))

    assert draft.title == "console.log left behind (7 times)"
