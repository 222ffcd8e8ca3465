"""Source text as tokens, without a parser: for comparing functions and for measuring volume."""

from __future__ import annotations

import re
from functools import cache

_HASH = r"#[^\n]*"
_SLASHES = r"//[^\n]*|/\*.*?\*/"
_DASHES = r"--\[\[.*?\]\]|--[^\n]*"
_COMMENTS = {"python": _HASH, "ruby": _HASH, "bash": _HASH, "lua": _DASHES, "php": f"{_SLASHES}|{_HASH}"}
_LONG = r'"""(?:\\.|[^\\])*?"""' + r"|'''(?:\\.|[^\\])*?'''"
_QUOTED = r'"(?:\\.|[^"\\\n])*"'
_SINGLE = r"'(?:\\.|[^'\\\n])*'"
_CHARACTER = r"'(?:\\.[^'\n]{0,8}|[^'\\\n])'"
_BACKTICK = r"`(?:\\.|[^`\\])*`"
_WORD = r"[^\W\d]\w*"
_NUMBER = r"\d[\w.]*"
_PUNCTUATION = {_HASH: r"[^\s\w#\"'`]", _SLASHES: r"[^\s\w/\"'`]|/(?![/*])", _DASHES: r"[^\s\w\"'`-]|-(?!-)"}
MAX_CLASSES = 50_000
_KEYWORDS = frozenset(
    word
    for line in (
        "and as assert async await begin break case catch class const continue def default defer del do elif",
        "else elsif end ensure except extends final finally fn for foreach from func function go goto guard",
        "if impl import in is lambda let loop match mut new nil none not null of or pass raise range repeat",
        "rescue return select self static struct super switch then this throw throws trait try typeof unless",
        "unsafe until use val var void when where while with yield None True False true false int float",
        "double char bool long unsigned string",
    )
    for word in line.split()
)


def tokens(text: str, language: str) -> list[str]:
    """Every token but comments, which the lexer gives back as empty."""
    return list(filter(None, _lexer(language).findall(text)))


def normalised(found: list[str]) -> list[str]:
    """Names, numbers and strings replaced by one letter each; keywords and punctuation kept."""
    if len(_CLASSES) > MAX_CLASSES:
        _CLASSES.clear()
    return list(map(_CLASSES.__getitem__, found))


class _Classes(dict[str, str]):
    """The classes of tokens seen so far: looking one up is several times faster than working it out."""

    def __missing__(self, token: str) -> str:
        self[token] = result = _class_of(token)
        return result


_CLASSES = _Classes()


def _class_of(token: str) -> str:
    first = token[0]
    if first.isalpha() or first == "_":
        return token if token in _KEYWORDS else "n"
    if first.isdigit():
        return "0"
    return "s" if first in "\"'`" else token


@cache
def _lexer(language: str) -> re.Pattern[str]:
    strings = [_QUOTED, _CHARACTER if language in {"rust", "c", "cpp", "java", "csharp", "go"} else _SINGLE]
    if language == "python":
        strings.insert(0, _LONG)
    if language in {"javascript", "typescript", "tsx", "go"}:
        strings.append(_BACKTICK)
    comment = _COMMENTS.get(language, _SLASHES)
    punctuation = _PUNCTUATION.get(comment, r"[^\s\w#/\"'`]|/(?![/*])")
    wanted = "|".join(
        [_WORD, punctuation, _NUMBER, *strings]
    )  # the most frequent first: alternatives are tried in order
    return re.compile(f"({wanted})|{comment}", re.DOTALL)
