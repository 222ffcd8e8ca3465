"""Secrets taken out of a text before anybody else sees it.

Wider than what the static engine reports: a needless placeholder costs nothing, a credential that is sent cannot be
taken back. A secret has the same placeholder wherever it stands in a file, and lines stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.analyzer.engines.static.secrets import PATTERNS, entropy

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\\"',.:#*-]*")
_NAME = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key"
    r"|encryption[_-]?key|signing[_-]?key|client[_-]?key|account[_-]?key|credentials?|session[_-]?key)"
)
_ASSIGNED = re.compile(
    rf"{_NAME}[\w-]{{0,30}}[\"']?\]?[^\S\n]{{0,8}}(?::=|=>|[:=])[^\S\n]{{0,8}}(?:[bfru]{{0,2}}[\"'`]([^\"'`\n]{{6,500}})[\"'`]"
    r"|([^\s\"'`()\[\]{}<>,;]{8,500}))",
    re.IGNORECASE,
)
_ELEMENT = re.compile(rf"<({_NAME}[\w-]{{0,30}})>([^<\n]{{6,500}})</", re.IGNORECASE)
_HEADER = re.compile(r"\b(?:Bearer|Basic|Token|ApiKey)\s+([A-Za-z0-9+/._~=-]{16,2000})", re.IGNORECASE)
_ADDRESS = re.compile(r"://[^\s:/@\"'<>`]{0,80}:([^\s/@\"'<>`]{3,200})@")
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_-])")
_SEGMENT = re.compile(r"[A-Za-z0-9+/]{20,}")
_NO_SECRET = re.compile(
    r"^(?:[A-Za-z_]\w*(?:\.\w+)+|[a-z]+(?:[ _-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*|\$\S+|%\S+|\w+://[^@]*)$"
)
"""Names of things in code, plain words, and references to where the secret really is."""


def redact(text: str) -> tuple[str, int]:
    """The text with a placeholder for each secret, and how many different ones there were."""
    names: dict[str, str] = {}
    parts: list[str] = []
    reached = 0
    for start, end in _merged(sorted(_spans(text))):
        secret = text[start:end]
        name = names.setdefault(secret, f"REDACTED_SECRET_{len(names) + 1}")
        parts += [text[reached:start], name, "\n" * secret.count("\n")]
        reached = end
    return "".join([*parts, text[reached:]]), len(names)


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Overlapping ones as one."""
    if not spans:
        return
    start, end = spans[0]
    for next_start, next_end in spans[1:]:
        if next_start >= end:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for pattern in PATTERNS:
        if any(hint in text for hint in pattern.hints):
            yield from (match.span(1) for match in pattern.expression.finditer(text))
    yield from _key_blocks(text)
    for match in _ASSIGNED.finditer(text):
        group = 1 if match[1] is not None else 2
        if _may_be_secret(match[group], quoted=group == 1):
            yield match.span(group)
    yield from (match.span(2) for match in _ELEMENT.finditer(text) if _may_be_secret(match[2], quoted=True))
    yield from (match.span(1) for match in _HEADER.finditer(text) if _may_be_secret(match[1], quoted=False))
    yield from (match.span(1) for match in _ADDRESS.finditer(text) if not _NO_SECRET.match(match[1]))
    yield from (match.span() for match in _RANDOM.finditer(text) if _is_random(match[0]))


def _key_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Up to its end line, or as far as it can reach where it has none; each character looked at once."""
    begin = _KEY_BEGIN.search(text)
    while begin:
        end = _KEY_END.search(text, begin.end()) or _KEY_BODY.match(text, begin.end())
        stop = end.end() if end else begin.end()
        yield begin.start(), stop
        begin = _KEY_BEGIN.search(text, stop)


def _may_be_secret(value: str, *, quoted: bool) -> bool:
    """Not a name, a word or a reference; outside quotes, where code stands, it has to have a digit too."""
    if _NO_SECRET.match(value) or value.isdigit():
        return False
    if quoted:
        return " " not in value.strip() and entropy(value) >= 2.0
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and entropy(value) >= 3.0


def _is_random(value: str) -> bool:
    """Letters of both cases and digits all through it: no name and no sum of hexadecimal digits."""
    return any(
        sum(c.isdigit() for c in segment) >= 3
        and any(c.isupper() for c in segment)
        and any(c.islower() for c in segment)
        and entropy(segment) >= 3.8
        for segment in _SEGMENT.findall(value)
    )
