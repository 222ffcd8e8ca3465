"""What an analyzer answers: which engines it has and what it is busy with."""

from __future__ import annotations

from pydantic import Field

from libs.events.envelope import Model, PathText, Token
from libs.questions.envelope import Question


class FileInHand(Model):
    scan_id: Token
    path: PathText
    seconds: float


class InHand(Model):
    """Shouted on ``live.analyzer.<scan>`` a few times a second while files are in hand."""

    files: list[FileInHand] = Field(default_factory=list)


class Engines(Model):
    """Engine names with their versions; what is wrong with those that cannot work."""

    engines: dict[str, str]
    preferred: str = Field("static", description="What ``auto`` means here.")
    problems: dict[str, str] = Field(default_factory=dict)


class DescribeEngines(Question[Engines]):
    """Which engines an analyzer offers, and what keeps the others from working."""
