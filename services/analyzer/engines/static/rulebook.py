"""Our own rules: patterns over the parsed tree, written as YAML beside this file.

A rule names its languages, the words without which it cannot match (``needs``: any of them must be in the text, or
the rule is not tried), where it holds (``roles``), what it says, and what it matches in ast-grep's rule language.
``unless`` are words that tell the rule does not hold in this file, ``unless_near`` that it does not hold beside them;
``skip_entry`` keeps it out of main programs. With ``grouped`` a file has one finding for all its matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from ast_grep_py import SgNode, SgRoot

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

MAX_MATCHES = 50
NEAR = 4
_LISTS = ("languages", "needs", "roles", "unless", "unless_near")
_DIRECTORY = files("services.analyzer.engines.static") / "rules"


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """One rule for one or more languages."""

    id: str
    languages: tuple[str, ...]
    category: Category
    severity: Severity
    title: str
    description: str = ""
    suggestion: str = ""
    cwe: int | None = None
    confidence: float = 0.8
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    unless_near: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("source",)
    skip_entry: bool = False
    grouped: bool = False
    rule: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)


@cache
def config_of(rule: Rule, language: str) -> Any:
    """The rule in ast-grep's words, without the alternatives whose kinds this language's grammar does not have."""
    config: dict[str, Any] = {"rule": _adapted(rule.rule, language)}
    if rule.constraints:
        config["constraints"] = _adapted(rule.constraints, language)
    return config


def _adapted(part: Any, language: str) -> Any:
    if isinstance(part, list):
        return [_adapted(item, language) for item in part]
    if not isinstance(part, dict):
        return part
    fitting = {key: _adapted(value, language) for key, value in part.items()}
    if "any" in fitting:
        fitting["any"] = [item for item in fitting["any"] if _fits(item, language)]
    return fitting


def _fits(part: dict[str, Any], language: str) -> bool:
    return "kind" not in part or _has_kind(language, part["kind"])


@cache
def _has_kind(language: str, kind: str) -> bool:
    try:
        SgRoot("", language).root().find(kind=kind)
    except RuntimeError:
        return False
    return True


def matches(root: SgNode, *, kind: Kind, text: str, lines: list[str]) -> Iterator[Draft]:
    """What our rules find in a parsed file: one walk tells whether any rule has a match, as in most files none has."""
    rules = [rule for rule in _for_kind(kind.language, kind.role, kind.form) if _could_match(rule, text)]
    if not rules or root.find(_any_of(rules, kind.language)) is None:
        return
    for rule in rules:
        every = root.find_all(config_of(rule, kind.language))
        found = [node for node in every[:MAX_MATCHES] if not _excused(rule, node, lines)]
        if rule.grouped and found:
            yield _group(rule, found, kind)
        elif found:
            yield from (_draft(rule, node, kind) for node in found)


def _any_of(rules: list[Rule], language: str) -> Any:
    """Matches wherever one of the rules could; their constraints on what was matched are left for later."""
    return {"rule": {"any": [config_of(rule, language)["rule"] for rule in rules]}}


def _could_match(rule: Rule, text: str) -> bool:
    if rule.needs and not any(word in text for word in rule.needs):
        return False
    return not any(word in text for word in rule.unless)


def _excused(rule: Rule, node: SgNode, lines: list[str]) -> bool:
    if not rule.unless_near:
        return False
    line = node.range().start.line
    nearby = "\n".join(lines[max(0, line - NEAR) : line + 2])
    return any(word in nearby for word in rule.unless_near)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by file and place in it."""
    paths = sorted((path for path in _DIRECTORY.iterdir() if path.name.endswith(".yml")), key=lambda path: path.name)
    return tuple(
        _rule(entry) for path in paths for entry in yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader) or ()
    )


@cache
def _for_kind(language: str, role: str, form: str) -> tuple[Rule, ...]:
    return tuple(
        rule
        for rule in all_rules()
        if language in rule.languages and role in rule.roles and not (rule.skip_entry and form == "entry")
    )


def _rule(entry: dict[str, Any]) -> Rule:
    lists = {name: tuple(entry[name]) for name in _LISTS if name in entry}
    kinds = {"category": Category(entry["category"]), "severity": Severity(entry["severity"])}
    return Rule(**{**entry, **lists, **kinds})


def _group(rule: Rule, found: list[SgNode], kind: Kind) -> Draft:
    first = _draft(rule, found[0], kind)
    if len(found) == 1:
        return replace(first, code="", symbol="")
    numbers = [str(node.range().start.line + 1) for node in found]
    listed = ", ".join(numbers[:20]) + (" …" if len(numbers) > 20 else "")
    title = f"{rule.title} ({len(found)}{'+' if len(found) == MAX_MATCHES else ''} times)"
    return replace(first, title=title, description=f"Lines {listed}. {rule.description}", code="", symbol="")


def _draft(rule: Rule, node: SgNode, kind: Kind) -> Draft:
    span = node.range()
    return Draft(
        rule=rule.id,
        category=rule.category,
        severity=rule.severity if kind.role == "source" else Severity.LOW,
        title=rule.title,
        description=rule.description,
        suggestion=rule.suggestion,
        start_line=span.start.line + 1,
        end_line=span.end.line + 1,
        cwe=rule.cwe,
        confidence=rule.confidence,
        code=node.text(),
    )
