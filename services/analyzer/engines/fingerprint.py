"""What names a finding for ever: its rule, the function it is in, and the code it is about.

Line numbers, white space and the wording of a finding have no part in it, so a finding keeps its fingerprint when
lines are inserted above it, code is indented anew, or another function is edited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, kw_only=True)
class Spot:
    """What a finding is about. ``code`` is the flagged code; empty where the symbol alone says it."""

    rule: str
    symbol: str
    code: str


def fingerprints(spots: Iterable[Spot]) -> list[str]:
    """16 hex digits a spot, in the order given: the order of the file. Equal spots are told apart by their count."""
    seen: Counter[tuple[str, str, str]] = Counter()
    result = []
    for spot in spots:
        identity = (spot.rule, spot.symbol, normalise(spot.code))
        result.append(_digest(*identity, str(seen[identity])))
        seen[identity] += 1
    return result


def normalise(code: str) -> str:
    """The code without any white space."""
    return "".join(code.split())


def code_of_lines(lines: list[str], start_line: int, end_line: int) -> str:
    """The code from one line to another, the first line being 1; what is outside the file is left out."""
    return "\n".join(lines[max(0, start_line - 1) : max(start_line, end_line)])


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
