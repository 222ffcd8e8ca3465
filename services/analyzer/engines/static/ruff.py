"""Python lint by ruff: one process a batch, our own choice of rules, never the repository's configuration."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

SYNTAX = "invalid-syntax"
_HARMLESS = "seems safe"
"""What ruff says of a shell command that is a constant."""


@dataclass(frozen=True)
class Code:
    """What one of ruff's rules means here."""

    category: Category
    severity: Severity
    confidence: float
    everywhere: bool
    cwe: int | None
    title: str
    suggestion: str


class RuffFailed(Exception):
    """ruff gave no answer for these files; the message says why."""


class Run:
    """ruff at work on a batch. Names of files are their places in the batch, so nothing depends on paths."""

    def __init__(self, texts: Mapping[int, str], directory: Path) -> None:
        self._paths = [directory / f"{place}.py" for place in texts]
        for path, text in zip(self._paths, texts.values(), strict=True):
            path.write_bytes(text.encode("utf-8", "replace"))
        self._process = subprocess.Popen(
            [*_command(), *map(str, self._paths)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env={"RAYON_NUM_THREADS": "1", "PATH": "/nonexistent"},
        )

    def result(self, timeout: float) -> dict[int, list[dict[str, Any]]]:
        """What it found, by place in the batch.

        Raises:
            RuffFailed: it took too long, or it broke.
        """
        try:
            output, _ = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RuffFailed("timeout") from None
        finally:
            self._end()
        if self._process.returncode not in (0, 1):
            raise RuffFailed(f"crash (exit {self._process.returncode})")
        return _by_place(output)

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        for path in self._paths:
            path.unlink(missing_ok=True)


def drafts(diagnostics: list[dict[str, Any]], *, kind: Kind, lines: list[str]) -> list[Draft]:
    """What is worth telling of ruff's answer for one file."""
    broken = [entry for entry in diagnostics if _code_name(entry) == SYNTAX]
    if broken:
        return [_syntax(broken[0], kind, lines)]
    found = (_draft(entry, kind) for entry in diagnostics)
    return [draft for draft in found if draft is not None]


def _draft(entry: dict[str, Any], kind: Kind) -> Draft | None:
    name = _code_name(entry)
    code = codes().get(name)
    if code is None or not _applies(name, code, kind) or _HARMLESS in entry["message"]:
        return None
    message = str(entry["message"])
    return Draft(
        rule=f"ruff/{name.lower()}",
        category=code.category,
        severity=code.severity if kind.role == "source" else Severity.LOW,
        title=code.title or message,
        description=message if code.title else "",
        suggestion=code.suggestion,
        start_line=entry["location"]["row"],
        end_line=entry["end_location"]["row"],
        cwe=code.cwe,
        confidence=code.confidence,
    )


def _syntax(entry: dict[str, Any], kind: Kind, lines: list[str]) -> Draft:
    code = codes()[SYNTAX]
    row = min(entry["location"]["row"], len(lines))
    return Draft(
        rule="ruff/invalid-syntax",
        category=code.category,
        severity=code.severity if kind.role == "source" else Severity.LOW,
        title="The file is no valid Python 3",
        description=f"Line {row}: {entry['message']}",
        suggestion=code.suggestion,
        start_line=row,
        end_line=row,
        confidence=code.confidence,
        symbol="",
        code="",
    )


def _applies(name: str, code: Code, kind: Kind) -> bool:
    if kind.role != "source" and not code.everywhere:
        return False
    return not (kind.form in {"init", "stub"} and name in {"F401", "F811", "F822", "F821"})


def _by_place(output: bytes) -> dict[int, list[dict[str, Any]]]:
    try:
        entries = json.loads(output)
    except ValueError:
        raise RuffFailed("unreadable answer") from None
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault(int(Path(entry["filename"]).stem), []).append(entry)
    return found


def _code_name(entry: dict[str, Any]) -> str:
    return str(entry.get("code") or SYNTAX)


@cache
def codes() -> dict[str, Code]:
    """Our table of ruff's rules."""
    text = (files("services.analyzer.engines.static") / "ruff_codes.yml").read_text("utf-8")
    table = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {name: _code(*row) for name, row in table.items()}


def _code(category: str, severity: str, confidence: float, where: str, cwe: int, title: str, suggestion: str) -> Code:
    return Code(Category(category), Severity(severity), confidence, where == "all", cwe or None, title, suggestion)


@cache
def _command() -> tuple[str, ...]:
    selected = ",".join(name for name in codes() if name != SYNTAX)
    options = ("--isolated", "--no-cache", "--exit-zero", "--quiet", "--output-format", "json", "--no-fix")
    return (binary(), "check", *options, "--target-version", "py314", "--select", selected)


@cache
def binary() -> str:
    """Where the wheel put ruff."""
    for directory in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(directory) / "ruff"
        if candidate.exists():
            return str(candidate)
    return "ruff"
