"""One file through all tools: a parse that they share, and an analysis made of what each of them found.

A tool that fails costs only its own findings; the analysis then says ``partial`` and why. The same content of the
same kind gives the same analysis, whatever else is examined at the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ast_grep_py import SgNode, SgRoot

from libs.events.analyzer import FileAnalysis
from services.analyzer.engines.static.debt import debt
from services.analyzer.engines.static.drafts import Draft, bounded, finish
from services.analyzer.engines.static.frames import Request
from services.analyzer.engines.static.functions import Profile, hard_functions, profile, unused_functions
from services.analyzer.engines.static.imports import imports
from services.analyzer.engines.static.languages import GRAMMARS, Kind
from services.analyzer.engines.static.limits import decode, refusal
from services.analyzer.engines.static.outline import Outline, outline
from services.analyzer.engines.static.rulebook import matches
from services.analyzer.engines.static.secrets import secrets
from services.analyzer.engines.static.summary import summarise
from services.analyzer.engines.static.version import engine_version

PARSER = "ast-grep"
RULES = "rules"
METRICS = "metrics"
SECRETS = "secrets"
DEBT = "debt"
IMPORTS = "imports"
RUFF = "ruff"

Answer = TypeVar("Answer")


@dataclass(kw_only=True)
class Draught:
    """An analysis in the making."""

    kind: Kind
    text: str
    lines: list[str]
    reasons: dict[str, str]
    outline: Outline = field(default_factory=Outline)
    profile: Profile = field(default_factory=Profile)
    drafts: list[Draft] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    wants_ruff: bool = False


class _Tools:
    """Runs one tool after another, says which, and notes those that fail."""

    def __init__(self, reasons: dict[str, str], report: Callable[[str], None]) -> None:
        self._reasons = reasons
        self._report = report

    def run(self, tool: str, act: Callable[[], Answer], otherwise: Answer) -> Answer:
        if tool in self._reasons:
            return otherwise
        self._report(tool)
        try:
            return act()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in a parser is a BaseException
            self._reasons[tool] = f"crash ({type(error).__name__})"
            return otherwise


def prepare(request: Request) -> Draught:
    """The text, and what is not to be tried on it."""
    text = decode(request.content)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    draught = Draught(kind=request.kind, text=text, lines=lines, reasons=dict(request.given_up))
    refused = refusal(text, lines) if request.kind.language in GRAMMARS else None
    if refused is not None:
        draught.reasons.setdefault(PARSER, refused)
    draught.wants_ruff = (
        request.kind.language == "python" and not refused and bool(lines) and RUFF not in draught.reasons
    )
    return draught


def examine(draught: Draught, report: Callable[[str], None]) -> None:
    """Everything but ruff, which runs for many files at once. ``report`` is told each tool before it starts."""
    tools = _Tools(draught.reasons, report)
    kind, text, lines = draught.kind, draught.text, draught.lines
    root = tools.run(PARSER, lambda: _parse(text, kind.language), None)
    if root is not None:
        _measure(draught, root, tools)
    draught.drafts += tools.run(SECRETS, lambda: secrets(text, kind=kind, lines=lines), [])
    draught.drafts += tools.run(DEBT, lambda: debt(root, language=kind.language, text=text, lines=lines), [])
    draught.imports = tools.run(
        IMPORTS, lambda: imports(draught.outline.imports, language=kind.language, text=text), []
    )


def _measure(draught: Draught, root: SgNode, tools: _Tools) -> None:
    kind, text = draught.kind, draught.text
    draught.drafts += tools.run(RULES, lambda: list(matches(root, kind=kind, text=text, lines=draught.lines)), [])
    draught.outline = tools.run(METRICS, lambda: outline(root, kind.language, text), Outline())
    draught.profile = tools.run(METRICS, lambda: _profile(draught), Profile())
    if kind.role == "source" and kind.form != "stub":
        draught.drafts += hard_functions(draught.outline)
        draught.drafts += unused_functions(draught.outline, kind=kind, text=text)


def _parse(text: str, language: str) -> SgNode | None:
    if language not in GRAMMARS or not text.strip():
        return None
    return SgRoot(text, language).root()


def _profile(draught: Draught) -> Profile:
    return profile(draught.outline, language=draught.kind.language, text=draught.text, lines=draught.lines)


def complete(draught: Draught) -> FileAnalysis:
    """The finished analysis."""
    findings, cut = finish(draught.drafts, outline=draught.outline, lines=draught.lines)
    reasons = [bounded(f"{tool}: {reason}", 300) for tool, reason in sorted(draught.reasons.items())]
    return FileAnalysis(
        language="text" if draught.kind.language == "unknown" else draught.kind.language,
        engine="static",
        engine_version=engine_version(),
        outcome="partial" if reasons else "complete",
        summary=summarise(draught.kind, lines=len(draught.lines), outline=draught.outline),
        lines=len(draught.lines),
        complexity=draught.profile.complexity,
        maintainability=draught.profile.maintainability,
        findings=findings,
        findings_cut=cut,
        imports=draught.imports,
        shapes=list(draught.profile.shapes),
        partial_reasons=reasons,
    )
