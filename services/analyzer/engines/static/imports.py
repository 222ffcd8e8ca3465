"""The modules that a file names, as written, in the order in which it names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MAX_IMPORTS = 200
MAX_LENGTH = 300
_COMMENT = re.compile(r"#[^\n]*")
_FROM = re.compile(r"from\s+([.\w\s]+?)\s+import\s+(.*)", re.DOTALL)
_SCRIPT = r"""(?:\bfrom\s*|\brequire\s*\(\s*|\bimport\s*\(\s*|^\s*import\s+)["']([^"'\n]{1,200})["']"""
_PATTERNS = {
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "vue": _SCRIPT,
    "svelte": _SCRIPT,
    "java": r"^\s*import\s+(?:static\s+)?([\w.]+(?:\.\*)?)\s*;",
    "kotlin": r"^\s*import\s+([\w.]+(?:\.\*)?)",
    "scala": r"^\s*import\s+([\w.]+)",
    "swift": r"^\s*(?:@testable\s+)?import\s+(?:\w+\s+)?([\w.]+)\s*$",
    "csharp": r"^\s*(?:global\s+)?using\s+(?:static\s+)?([\w.]+)\s*;",
    "rust": r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:use\s+([\w:]+)|mod\s+(\w+)\s*;|extern\s+crate\s+(\w+))",
    "c": r'^\s*#\s*include\s*[<"]([^">\n]+)[">]',
    "cpp": r'^\s*#\s*include\s*[<"]([^">\n]+)[">]',
    "ruby": r"""^\s*(?:require|require_relative|load)\s*\(?\s*["']([^"'\n]+)["']""",
    "php": r"""^\s*(?:use\s+(?:function\s+|const\s+)?([\w\\]+)|(?:require|include)(?:_once)?\b[^"'\n]*"""
    r"""["']([^"'\n]+)["'])""",
    "bash": r"^\s*(?:source|\.)\s+[\"']?([^\s\"';|&]+)",
    "lua": r"""\brequire\s*\(?\s*["']([^"'\n]+)["']""",
    "solidity": r"""^\s*import\s[^"'\n]*["']([^"'\n]+)["']""",
    "dart": r"""^\s*(?:import|export|part)\s+["']([^"'\n]+)["']""",
    "elixir": r"^\s*(?:alias|import|use|require)\s+([\w.]+)",
    "haskell": r"^import\s+(?:qualified\s+)?([\w.]+)",
    "zig": r'@import\("([^"\n]+)"\)',
    "protobuf": r'^\s*import\s+(?:public\s+)?"([^"\n]+)"',
    "css": r"""@(?:import|use|forward)\s+(?:url\()?["']([^"'\n]+)["']""",
}
_COMPILED = {language: re.compile(pattern, re.MULTILINE) for language, pattern in _PATTERNS.items()}
_GO_BLOCK = re.compile(r'^import\s*(?:\((.*?)^\)|(?:[\w.]+\s+)?"([^"\n]+)")', re.MULTILINE | re.DOTALL)
_GO_PATH = re.compile(r'^\s*(?:[\w.]+\s+)?"([^"\n]+)"', re.MULTILINE)


def imports(statements: Sequence[str], *, language: str, text: str) -> list[str]:
    """Each once. ``from a import b`` in Python names ``a`` and, where b may be a module, ``a.b``.

    ``statements`` are those that the parser found, which only Python needs.
    """
    if language == "python":
        named = _python(statements)
    elif language == "go":
        named = _go(text)
    elif language in _COMPILED:
        named = (next(filter(None, match.groups()), "") for match in _COMPILED[language].finditer(text))
    else:
        return []
    return [name[:MAX_LENGTH] for name in dict.fromkeys(named) if name][:MAX_IMPORTS]


def _python(statements: Sequence[str]) -> Iterator[str]:
    for written in statements:
        statement = _COMMENT.sub("", written).replace("\\\n", " ")
        match = _FROM.match(statement)
        if match is None:
            yield from _aliased(statement.removeprefix("import "))
            continue
        module = "".join(match[1].split())
        if module.strip("."):
            yield module
        joint = "" if module.endswith(".") else "."
        for name in _aliased(match[2].strip().strip("()")):
            if name.islower() and name.isidentifier():
                yield f"{module}{joint}{name}"


def _aliased(names: str) -> Iterator[str]:
    for part in names.split(","):
        words = part.split()
        if words:
            yield words[0]


def _go(text: str) -> Iterator[str]:
    for match in _GO_BLOCK.finditer(text):
        if match[2]:
            yield match[2]
        else:
            yield from _GO_PATH.findall(match[1])
