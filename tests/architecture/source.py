"""The source as data: every module parsed once, and what they say of themselves."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """``name`` is the path from the root."""

    name: str
    tree: ast.Module

    @property
    def service(self) -> str | None:
        parts = self.name.split("/")
        return parts[1] if parts[0] == "services" and len(parts) > 2 else None

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def imported(self) -> set[str]:
        """Every module and every name of a module that is imported."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        return names


@cache
def modules(*roots: str) -> tuple[Module, ...]:
    files = (file for root in roots or ("libs", "services") for file in sorted((ROOT / root).rglob("*.py")))
    return tuple(Module(str(file.relative_to(ROOT)), ast.parse(file.read_text())) for file in files)


@cache
def tracked_texts() -> tuple[tuple[str, str], ...]:
    """Every file that belongs to the repository, as text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = (ROOT / name for name in listed.decode().split("\0") if name)
    return tuple((str(file.relative_to(ROOT)), file.read_text(errors="replace")) for file in files if file.is_file())


def place(module: Module, node: ast.AST) -> str:
    return f"{module.name}:{getattr(node, 'lineno', 1)}"
