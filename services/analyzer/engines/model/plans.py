"""Whether a file is worth a model's time, and in which pieces it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from services.analyzer.engines.model.asking import Text, numbered, room_tokens, sendable
from services.analyzer.engines.model.pieces import Piece, split, weight
from services.analyzer.engines.model.ports import ChatModel
from services.analyzer.engines.static.languages import kind_of
from services.analyzer.ports import Source

PIECE_TOKENS = 16_000
"""Where models begin to overlook things, whatever their context."""
MIN_PIECE_TOKENS = 200
MIN_CHARACTERS = 60
MAX_LINE = 5_000
WORTH_ASKING = frozenset({"dockerfile", "hcl", "make"})
"""Configuration that runs, or opens doors."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``skipped`` says why there are no pieces; ``most`` is a piece's limit in characters."""

    text: Text
    pieces: tuple[Piece, ...] = ()
    skipped: str = ""
    most: int = 0


def plan_for(source: Source, model: ChatModel) -> Plan:
    """How the file is shown to the model."""
    text = sendable(source.content, kind_of(source.path, source.content))
    skipped = _nothing_to_gain(text)
    if skipped:
        return Plan(text=text, skipped=skipped)
    whole = Piece(start=1, end=len(text.lines))
    limit = max(MIN_PIECE_TOKENS, min(PIECE_TOKENS, room_tokens(model)))
    tokens = model.count_tokens(numbered(text, whole))
    size = sum(map(weight, text.lines))
    if tokens <= limit:
        return Plan(text=text, pieces=(whole,), most=size)
    most = int(size * limit / tokens * 0.9)
    return Plan(text=text, pieces=tuple(split(text.lines, most=most)), most=most)


def smaller(plan: Plan, piece: Piece) -> list[Piece]:
    """The piece in parts of half its size or less, for a model that would not take it."""
    size = min(plan.most, sum(weight(plan.text.lines[number - 1]) for number in piece.lines))
    return split(plan.text.lines, most=max(1, size // 2), whole=piece.lines)


def _nothing_to_gain(text: Text) -> str:
    """Why the static engine's word is enough; empty where a model may add to it."""
    kind, lines = text.kind, text.lines
    if sum(len(line.strip()) for line in lines) < MIN_CHARACTERS:
        return "too small to hold much"
    if max(map(len, lines)) > MAX_LINE:
        return "its lines are too long to be written by a person"
    if kind.language in WORTH_ASKING:
        return ""
    if kind.role == "config":
        return "configuration or data"
    return "a document" if kind.language in {"markdown", "restructuredtext", "text"} else ""
