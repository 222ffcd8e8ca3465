"""What the analyzer tells: what it found in one file and what that cost, or why it could not."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from libs.events.differ import FileFact
from libs.events.envelope import Count, Model, Ticks, Token

Score = Annotated[int, Field(ge=0, le=100)]
Line = Annotated[int, Field(ge=1, description="Line number, the first is 1.")]
ShortText = Annotated[str, StringConstraints(max_length=300)]
LongText = Annotated[str, StringConstraints(max_length=4000)]


class Category(StrEnum):
    SECURITY = "security"
    CORRECTNESS = "correctness"
    ERROR_HANDLING = "error-handling"
    PERFORMANCE = "performance"
    TESTING = "testing"
    REFACTORING = "refactoring"
    DOCUMENTATION = "documentation"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SEVERITY_ORDER = tuple(Severity)
"""From the worst to the mildest."""


class Finding(Model):
    """One problem in one file. It does not know its path: the same content has the same findings anywhere."""

    rule: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]{0,79}$")] = Field(
        description="A stable id: the engine's or tool's name, a slash, the rule, e.g. ``ruff/b006``."
    )
    category: Category
    severity: Severity
    title: ShortText = Field(description="What is wrong, in one line.")
    description: LongText = Field("", description="Why it matters here.")
    suggestion: LongText = Field("", description="What to do.")
    start_line: Line
    end_line: Line
    symbol: ShortText = Field("", description="The enclosing function or class, dotted from the outside.")
    cwe: Annotated[int, Field(ge=1)] | None = Field(None, description="CWE number where one is known.")
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] = Field(
        description="With the file's key it names this finding, whatever moves around it."
    )


class Shape(Model):
    """A function's body with names and literals taken out, hashed: equal shapes are copies of each other."""

    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    symbol: ShortText
    start_line: Line
    end_line: Line


class Usage(Model):
    """What was asked of a model. Tokens; all zero for the static engine."""

    input_tokens: Count = 0
    cached_tokens: Count = Field(0, description="The part of the input the provider had cached.")
    output_tokens: Count = 0
    reasoning_tokens: Count = 0
    calls: Count = 0
    attempts: Count = 0


class Cost(Model):
    """Money and where the figure comes from: the provider billed it, a price table priced it, or it was free."""

    ticks: Ticks = 0
    source: Literal["billed", "priced", "free"] = "free"
    model: str | None = None


class FileAnalysis(Model):
    """Everything an engine has to say of one content. Kept in the bucket ``analyses`` and reused anywhere."""

    language: ShortText = Field(description="Lower-case name, ``text`` where none is known.")
    engine: ShortText
    engine_version: ShortText
    outcome: Literal["complete", "partial"]
    summary: LongText = ""
    lines: Count = 0
    complexity: Score = Field(0, description="0 is simple, 100 very complex.")
    maintainability: Score = Field(100, description="100 is best.")
    findings: list[Finding] = Field(default_factory=list)
    findings_cut: Count = Field(0, description="Findings left out, lowest ranked, to keep the fact small.")
    imports: list[ShortText] = Field(default_factory=list, description="Modules named by the file, as written.")
    shapes: list[Shape] = Field(default_factory=list, description="Functions long enough to be worth comparing.")
    partial_reasons: list[ShortText] = Field(default_factory=list, description="Which tool gave up, and why.")


class FileAnalyzed(FileFact):
    """One file has its analysis. ``cost`` is what this scan paid for it: nothing when it was reused."""

    type_name: ClassVar[str] = "strandline.file.analyzed.v1"
    token: ClassVar[str] = "file.analyzed"
    source: ClassVar[str] = "analyzer"

    content_hash: Token
    size: Count = 0
    analysis: FileAnalysis
    usage: Usage = Usage()
    cost: Cost = Cost()
    duration_seconds: Annotated[float, Field(ge=0)] = 0.0
    reused: bool = False
    reused_from: Token | None = Field(None, description="The scan that paid for the analysis.")
    saved_ticks: Ticks = Field(0, description="What the analysis cost then.")
    previous_key: str | None = Field(None, description="The key the file had before it was renamed.")


class FailReason(StrEnum):
    """Why a file has no analysis."""

    CONTENT_MISSING = "content_missing"
    ENGINE_ERROR = "engine_error"
    TIMEOUT = "timeout"
    UNUSABLE_REPLY = "unusable_reply"
    REFUSED = "refused"
    EXHAUSTED = "exhausted"


class FileFailed(FileFact):
    """A file could not be analysed; nothing will be tried again in this scan."""

    type_name: ClassVar[str] = "strandline.file.failed.v1"
    token: ClassVar[str] = "file.failed"
    source: ClassVar[str] = "analyzer"

    reason: FailReason
    detail: LongText = ""
    attempts: Count = 1
    usage: Usage = Usage()
    cost: Cost = Cost()
