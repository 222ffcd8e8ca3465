"""What can be worked out about an analysis from its arguments alone: its cache key, its facts, its size."""

from __future__ import annotations

from hashlib import blake2b

from libs.events.analyzer import Cost, FailReason, FileAnalysis, FileAnalyzed, FileFailed, Usage
from libs.events.differ import FileQueued
from libs.events.envelope import Model, Token

MOST_ANALYSIS_BYTES = 480 * 1024
"""Leaves room for the rest of the fact within its limit, a path of ordinary length included."""
ORDINARY_PATH = 4096
MOST_BESIDE_LONG_PATH = 256 * 1024
"""The differ cuts a shown path at 32 Ki characters; JSON takes up to six bytes for one."""


class KeptAnalysis(Model):
    """A result as kept in the bucket ``analyses``: the analysis, what it took, and who paid for it."""

    analysis: FileAnalysis
    usage: Usage = Usage()
    cost: Cost = Cost()
    duration_seconds: float = 0.0
    scan_id: Token
    key: str


class PaidAttempt(Model):
    """What a file's attempt bought that is no result for others: an incomplete analysis, or a failure."""

    kept: KeptAnalysis | None = None
    reason: FailReason = FailReason.ENGINE_ERROR
    detail: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()


def cache_key(content_hash: str, *, engine: str, version: str, identity: str) -> str:
    """Everything that decides an analysis, hashed: equal keys have equal analyses in any repository."""
    parts = (content_hash, engine, version, identity)
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def attempt_key(key: str, queued: FileQueued) -> str:
    """Where a file's own attempt is kept: it counts for this file in this scan and for nothing else."""
    return blake2b(f"{key}\0{queued.scan_id}\0{queued.key}".encode(), digest_size=20).hexdigest()


def analyzed(queued: FileQueued, kept: KeptAnalysis) -> FileAnalyzed:
    """The fact that follows from a kept result. It was paid here only if this very file of this scan paid."""
    own = (kept.scan_id, kept.key) == (queued.scan_id, queued.key)
    return FileAnalyzed(
        repository_id=queued.repository_id,
        scan_id=queued.scan_id,
        key=queued.key,
        path=queued.path,
        content_hash=queued.content_hash,
        size=queued.size,
        analysis=kept.analysis if len(queued.path) <= ORDINARY_PATH else fit(kept.analysis, MOST_BESIDE_LONG_PATH),
        usage=kept.usage if own else Usage(),
        cost=kept.cost if own else Cost(),
        duration_seconds=kept.duration_seconds if own else 0.0,
        reused=not own,
        reused_from=None if own else kept.scan_id,
        saved_ticks=0 if own else kept.cost.ticks,
        previous_key=queued.previous_key,
    )


def failed(
    queued: FileQueued,
    reason: FailReason,
    detail: str,
    *,
    attempts: int = 1,
    usage: Usage | None = None,
    cost: Cost | None = None,
) -> FileFailed:
    """The fact that this file will have no analysis in this scan."""
    return FileFailed(
        repository_id=queued.repository_id,
        scan_id=queued.scan_id,
        key=queued.key,
        path=queued.path,
        reason=reason,
        detail=detail[:4000],
        attempts=attempts,
        usage=usage or Usage(),
        cost=cost or Cost(),
    )


def as_kept(result: KeptAnalysis) -> tuple[KeptAnalysis, bytes]:
    """The result with an analysis that a fact can carry, and its JSON: nearly always as it is, and written once."""
    text = result.__pydantic_serializer__.to_json(result)
    if len(text) <= MOST_ANALYSIS_BYTES:
        return result, text
    result = result.model_copy(update={"analysis": fit(result.analysis)})
    return result, result.__pydantic_serializer__.to_json(result)


def fit(analysis: FileAnalysis, most: int = MOST_ANALYSIS_BYTES) -> FileAnalysis:
    """The analysis cut to what a fact may carry: first shapes and imports, then findings from the end, counted."""
    if bytes_of(analysis) <= most:
        return analysis
    bare = analysis.model_copy(
        update={
            "shapes": analysis.shapes[:50],
            "imports": analysis.imports[:50],
            "partial_reasons": analysis.partial_reasons[:10],
            "findings": [],
        }
    )
    room = most - bytes_of(bare) - len(str(len(analysis.findings)))
    kept = 0
    for finding in analysis.findings:
        room -= bytes_of(finding) + 1
        if room < 0:
            break
        kept += 1
    cut = analysis.findings_cut + len(analysis.findings) - kept
    return bare.model_copy(update={"findings": analysis.findings[:kept], "findings_cut": cut})


def bytes_of(model: Model) -> int:
    """Its size in a fact: UTF-8, absent fields left out."""
    return len(model.__pydantic_serializer__.to_json(model, exclude_none=True))
