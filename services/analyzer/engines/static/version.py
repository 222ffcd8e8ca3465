"""The engine's version: our rule set and the tools whose release can change an analysis."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

RULE_SET = 1
"""Counted up whenever a rule, a limit or a formula changes: what was kept of earlier analyses then counts no more."""


@cache
def engine_version() -> str:
    return f"{RULE_SET}+ruff.{version('ruff')}+ast-grep.{version('ast-grep-py')}"
