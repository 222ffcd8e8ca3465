"""A file in one or two plain sentences."""

from __future__ import annotations

from services.analyzer.engines.static.languages import Kind
from services.analyzer.engines.static.outline import Outline

_NAMES = {
    "python": "Python",
    "javascript": "JavaScript",
    "typescript": "TypeScript",
    "tsx": "TypeScript (JSX)",
    "java": "Java",
    "go": "Go",
    "rust": "Rust",
    "c": "C",
    "cpp": "C++",
    "csharp": "C#",
    "php": "PHP",
    "html": "HTML",
    "css": "CSS",
    "json": "JSON",
    "yaml": "YAML",
    "toml": "TOML",
    "xml": "XML",
    "sql": "SQL",
    "hcl": "HCL",
    "restructuredtext": "reStructuredText",
}
_ROLES = {"test": " test", "example": " example", "config": "", "docs": "", "source": ""}
_MODULES = frozenset({"python", "javascript", "typescript", "tsx", "rust"})


def summarise(kind: Kind, *, lines: int, outline: Outline) -> str:
    """What it is, how large, and where its hardest part lies."""
    if not lines:
        return "Empty file."
    name = _NAMES.get(kind.language, kind.language.capitalize())
    noun = "module" if kind.language in _MODULES and not _ROLES[kind.role] else "file"
    role = _ROLES[kind.role]
    start = f"{name}{role} {noun}" if kind.language not in {"text", "unknown"} else f"Text{role} file"
    functions = outline.functions
    if not functions:
        return f"{start} of {_count(lines, 'line')}."
    hardest = max(functions, key=lambda unit: (unit.complexity, unit.lines, -unit.start))
    where = "an anonymous function" if hardest.is_anonymous else hardest.symbol
    return (
        f"{start} of {_count(lines, 'line')}, {_count(len(functions), 'function')}; the hardest is {where} "
        f"(complexity {hardest.complexity}, {_count(hardest.lines, 'line')})."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
