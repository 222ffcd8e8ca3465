"""Python lint by ruff: one process a batch, our own choice of rules, never the repository's configuration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from libs.events.analyzer import SEVERITY_ORDER, Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

SYNTAX = "invalid-syntax"
_DYNAMIC = re.compile(
    r"\bglobals\(\)|\bexec\(|\b_convert_\(|\bsetattr\((?:builtins|__builtins__)|\bbuiltins\.\w+ =|except NameError"
)
_GIVEN = frozenset({"get_ipython", "display", "dbutils", "spark", "reveal_type", "_", "ngettext", "WindowsError"})
"""Names that something outside puts there: notebooks, type checkers, gettext, an operating system."""
_PARAMETER = re.compile(r"(\w+)\s*(?::[^=]*)?=\s*$")
_ON_PURPOSE = re.compile(r"cache|memo", re.IGNORECASE)
_EMPTY = re.compile(r"\[\]|\{\}|(?:list|dict|set)\(\)")
_DEF = re.compile(r"\s*(?:async\s+)?def\b")
_UNDEFINED = frozenset({"F821", "F822"})
_MENDED_TOGETHER = frozenset(
    f"ruff/{name}" for name in ("b006", "b018", "b023", "e722", "f401", "f601", "f811", "f822", "f841", "s110", "w605")
)
MAX_ALIKE = 3
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


def drafts(diagnostics: list[dict[str, Any]], *, kind: Kind, text: str, lines: list[str]) -> list[Draft]:
    """What is worth telling of ruff's answer for one file."""
    broken = [entry for entry in diagnostics if _code_name(entry) == SYNTAX]
    if broken:
        return [_syntax(broken[0], kind, lines)]
    found = [draft for entry in _sifted(diagnostics, text) if (draft := _draft(entry, kind, lines)) is not None]
    return _grouped(found)


def _sifted(diagnostics: list[dict[str, Any]], text: str) -> Iterator[dict[str, Any]]:
    """An undefined name is told once, and not at all where the module makes or removes names as it runs."""
    told: set[str] = set()
    dynamic = _DYNAMIC.search(text) is not None
    for entry in diagnostics:
        if _code_name(entry) in _UNDEFINED:
            message = str(entry["message"])
            name = message.split("`")[1] if message.count("`") >= 2 else ""
            if dynamic or name in told or name in _GIVEN or _is_deleted(name, text):
                continue
            told.add(name)
        yield entry


def _grouped(found: list[Draft]) -> list[Draft]:
    """Where a file has many of a kind that are mended together they are one finding."""
    counts = Counter(draft.rule for draft in found)
    crowded = {rule for rule in _MENDED_TOGETHER if counts[rule] > MAX_ALIKE}
    kept = [draft for draft in found if draft.rule not in crowded]
    for rule in sorted(crowded):
        alike = sorted((draft for draft in found if draft.rule == rule), key=_severity)
        messages = "; ".join(f"line {draft.start_line}: {draft.title}" for draft in alike[:20])
        title = f"{alike[0].title} (and {len(alike) - 1} more)"
        kept.append(replace(alike[0], title=title, description=messages, code="", symbol=""))
    return kept


def _severity(draft: Draft) -> int:
    return SEVERITY_ORDER.index(draft.severity)


def _is_deleted(name: str, text: str) -> bool:
    return bool(name) and re.search(rf"^\s*del\b[^\n]*\b{re.escape(name)}\b", text, re.MULTILINE) is not None


def _draft(entry: dict[str, Any], kind: Kind, lines: list[str]) -> Draft | None:
    name = _code_name(entry)
    code = codes().get(name)
    message = str(entry["message"])
    if code is None or not _applies(name, code, kind) or _is_harmless(name, message):
        return None
    mild = kind.role != "source" or (name == "B006" and not _is_changed(entry, lines))
    return Draft(
        rule=f"ruff/{name.lower()}",
        category=code.category,
        severity=Severity.LOW if mild else code.severity,
        title=code.title or message,
        description=message if code.title else "",
        suggestion=code.suggestion,
        start_line=entry["location"]["row"],
        end_line=entry["end_location"]["row"],
        cwe=code.cwe,
        confidence=code.confidence,
    )


def _is_harmless(name: str, message: str) -> bool:
    """A constant shell command, rights that let others read but not write, a format that takes names."""
    mode = re.search(r"`0o\d*(\d)`", message) if name == "S103" else None
    named = name == "F507" and "has 0 placeholder" in message
    return named or _HARMLESS in message or (mode is not None and not int(mode[1]) & 2)


def _is_changed(entry: dict[str, Any], lines: list[str]) -> bool:
    """Whether a mutable default is changed or given away in its function; else nothing goes wrong today."""
    row, column = entry["location"]["row"], entry["location"]["column"]
    match = _PARAMETER.search(lines[row - 1][: column - 1]) if row <= len(lines) else None
    if match is None:
        return True
    if _ON_PURPOSE.search(match[1]) or not _EMPTY.match(lines[row - 1][column - 1 :]):
        return False
    name = re.escape(match[1])
    changed = (
        rf"\b{name}\.(?:append|add|update|extend|insert|pop|remove|setdefault|clear|sort)\(|\b{name}\[[^\]]*\]\s*[-+|]?=[^=]"
        rf"|\b{name}\s*[-+|]=|\.\w+\s*=\s*{name}\s*$|\breturn {name}\s*$"
    )
    return re.search(changed, _body(lines, row), re.MULTILINE) is not None


def _body(lines: list[str], row: int) -> str:
    """From the line to the end of its function: the next line that starts no further right than its ``def``."""
    start = next((place for place in range(row - 1, -1, -1) if _DEF.match(lines[place])), row - 1)
    indent = _indent(lines[start])
    end = row
    while end < len(lines) and _goes_on(lines[end], indent):
        end += 1
    return "\n".join(lines[row:end])


def _goes_on(line: str, indent: int) -> bool:
    return not line.strip() or _indent(line) > indent or line.lstrip()[0] in ")]}#"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


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
    table = yaml.load(text, Loader=yaml.CSafeLoader)
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
