"""Our own rules: patterns over the parsed tree, written as YAML beside this file.

A rule names its languages, the words without which it cannot match (``needs``: any of them must be in the text, or
the rule is not tried), where it holds (``roles``), what it says, and what it matches in ast-grep's rule language.
``skip_entry`` keeps it out of main programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from ast_grep_py import SgNode

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

MAX_MATCHES = 50
_DIRECTORY = files("services.analyzer.engines.static") / "rules"


@dataclass(frozen=True, kw_only=True)
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
    roles: tuple[str, ...] = ("source",)
    skip_entry: bool = False
    rule: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Any:
        whole: dict[str, Any] = {"rule": self.rule}
        return {**whole, "constraints": self.constraints} if self.constraints else whole


def matches(root: SgNode, *, kind: Kind, text: str) -> Iterator[Draft]:
    """What our rules find in a parsed file."""
    for rule in _for_kind(kind.language, kind.role, kind.form):
        if rule.needs and not any(word in text for word in rule.needs):
            continue
        for node in root.find_all(rule.config)[:MAX_MATCHES]:
            yield _draft(rule, node)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by file and place in it."""
    paths = sorted((path for path in _DIRECTORY.iterdir() if path.name.endswith(".yml")), key=lambda path: path.name)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(_rule(entry) for path in paths for entry in yaml.load(path.read_text("utf-8"), loader) or ())


@cache
def _for_kind(language: str, role: str, form: str) -> tuple[Rule, ...]:
    return tuple(
        rule
        for rule in all_rules()
        if language in rule.languages and role in rule.roles and not (rule.skip_entry and form == "entry")
    )


def _rule(entry: dict[str, Any]) -> Rule:
    lists = {name: tuple(entry[name]) for name in ("languages", "needs", "roles") if name in entry}
    kinds = {"category": Category(entry["category"]), "severity": Severity(entry["severity"])}
    return Rule(**{**entry, **lists, **kinds})


def _draft(rule: Rule, node: SgNode) -> Draft:
    span = node.range()
    return Draft(
        rule=rule.id,
        category=rule.category,
        severity=rule.severity,
        title=rule.title,
        description=rule.description,
        suggestion=rule.suggestion,
        start_line=span.start.line + 1,
        end_line=span.end.line + 1,
        cwe=rule.cwe,
        confidence=rule.confidence,
        code=node.text(),
    )
