"""A file cut into pieces that a model can take, where its symbols begin; each line in exactly one piece.

Where a symbol begins is told from blank lines and indentation, the same in every language and without a parser: a
hostile file must not be parsed in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_HEADER_LINES = 40
HEADER_SHARE = 8
"""The header may take this part of a piece; a longer one is cut, for it is only there for the names it brings in."""
_HEADER_WORDS = (
    *("import ", "from ", "#include", "#import", "#define", "using ", "use ", "package ", "require", "extern crate"),
    *("const ", "module ", "namespace ", "@import", "include ", "load(", "source ", "#!"),
)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Lines from ``start`` to ``end``, the first line of a file being 1, and what of the file's head comes with it."""

    start: int
    end: int
    header: tuple[int, ...] = ()

    @property
    def lines(self) -> range:
        return range(self.start, self.end + 1)

    @property
    def shown(self) -> frozenset[int]:
        """Everything of the file that the model sees."""
        return frozenset((*self.header, *self.lines))


def weight(line: str) -> int:
    """Characters of a line as it is shown, with its number."""
    return len(line) + 8


def split(lines: Sequence[str], *, most: int, whole: range | None = None) -> list[Piece]:
    """Pieces of at most ``most`` characters as shown; a longer line is a piece of its own, never cut."""
    whole = whole or range(1, len(lines) + 1)
    header = _header(lines, most // HEADER_SHARE)
    room = max(1, most - sum(weight(lines[number - 1]) for number in header))
    pieces: list[Piece] = []
    start = whole.start
    while start < whole.stop:
        end = _end(lines, start, last=whole.stop - 1, room=room if start > 1 else most)
        pieces.append(Piece(start=start, end=end, header=tuple(number for number in header if number < start)))
        start = end + 1
    return pieces


def _header(lines: Sequence[str], room: int) -> list[int]:
    """The lines near the top that bring in names."""
    found: list[int] = []
    for number, line in enumerate(lines[:400], 1):
        if line.startswith(_HEADER_WORDS) and len(found) < MAX_HEADER_LINES:
            room -= weight(line)
            if room < 0:
                break
            found.append(number)
    return found


def _end(lines: Sequence[str], start: int, *, last: int, room: int) -> int:
    """The last line of the piece that begins at ``start``: all there is, or up to the best place in its second half."""
    size = 0
    reached = start - 1
    half = start
    while reached < last and (size := size + weight(lines[reached])) <= room:
        reached += 1
        if size * 2 <= room:
            half = reached
    if reached >= last:
        return last
    if reached <= start:
        return start
    return max(range(half, reached + 1), key=lambda number: (_fitness(lines, number), number))


def _fitness(lines: Sequence[str], number: int) -> tuple[bool, int]:
    """How good a place it is to cut after this line: better after a blank one, best before one that is not indented."""
    following = lines[number]
    blank = not lines[number - 1].strip()
    indentation = len(following) - len(following.lstrip()) if following.strip() else 99
    return blank and bool(following.strip()), -indentation
