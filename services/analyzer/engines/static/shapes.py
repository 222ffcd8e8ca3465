"""Functions reduced to their shape, so that copies with other names are recognised across files."""

from __future__ import annotations

from hashlib import blake2b

from libs.events.analyzer import Shape
from services.analyzer.engines.static.outline import Unit
from services.analyzer.engines.static.tokens import normalised

MIN_LINES = 8
MIN_TOKENS = 60
MAX_SHAPES = 500


def shape(unit: Unit, found: list[str]) -> Shape | None:
    """The shape of a named function; none where it is too short for its equal to be more than chance."""
    if unit.is_anonymous or unit.lines < MIN_LINES or len(found) < MIN_TOKENS:
        return None
    text = " ".join(normalised(found))
    return Shape(
        hash=blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
        symbol=unit.symbol[:300],
        start_line=unit.start_line,
        end_line=unit.end_line,
    )
