"""Facts and findings for the reviewer's tests: every builder hides the dull parts."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from libs.events.analyzer import Category, FileAnalysis, FileAnalyzed, Finding, Severity
from libs.events.differ import FileRemoved, FileSkipped, SkipReason
from libs.events.ledger import Coverage, ScanCompleted
from libs.events.subjects import file_key
from services.reviewer.domain.snapshot import Problem, SourceFile

REPOSITORY = "shop-1"
MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def fingerprint(name: str) -> str:
    return blake2b(name.encode(), digest_size=8).hexdigest()


def a_finding(name: str, **fields: Any) -> Finding:
    return Finding(
        **{
            "rule": "ruff/b006",
            "category": Category.CORRECTNESS,
            "severity": Severity.MEDIUM,
            "title": f"Mutable default argument {name}",
            "suggestion": "Use None as the default.",
            "start_line": 3,
            "end_line": 3,
            "fingerprint": fingerprint(name),
            **fields,
        }
    )


def an_analysis(*findings: Finding | str, **fields: Any) -> FileAnalysis:
    return FileAnalysis(
        **{
            "language": "python",
            "engine": "static",
            "engine_version": "1",
            "outcome": "complete",
            "lines": 100,
            "complexity": 20,
            "findings": [each if isinstance(each, Finding) else a_finding(each) for each in findings],
            **fields,
        }
    )


def analysed(scan: str, path: str, *findings: Finding | str, was: str | None = None, **fields: Any) -> FileAnalyzed:
    return FileAnalyzed(
        repository_id=fields.pop("repository", REPOSITORY),
        scan_id=scan,
        key=file_key(path.encode()),
        path=path,
        content_hash="c" * 16,
        previous_key=was and file_key(was.encode()),
        analysis=an_analysis(*findings, **fields),
    )


def removed(scan: str, path: str, *, to: str | None = None) -> FileRemoved:
    return FileRemoved(
        repository_id=REPOSITORY,
        scan_id=scan,
        key=file_key(path.encode()),
        path=path,
        renamed_to=to,
        renamed_to_key=to and file_key(to.encode()),
    )


def skipped(scan: str, path: str) -> FileSkipped:
    return FileSkipped(
        repository_id=REPOSITORY, scan_id=scan, key=file_key(path.encode()), path=path, reason=SkipReason.GENERATED
    )


def completed(scan: str, *, status: str = "complete", **coverage: Any) -> ScanCompleted:
    return ScanCompleted(
        repository_id=REPOSITORY,
        scan_id=scan,
        status=status,  # type: ignore[arg-type]
        coverage=Coverage(**coverage),
        started_at=MOMENT,
        completed_at=MOMENT,
        commit="0123456789abcdef0123",
    )


def a_problem(path: str, name: str, **fields: Any) -> Problem:
    return Problem(
        **{
            "key": file_key(path.encode()),
            "path": path,
            "fingerprint": fingerprint(f"{path} {name}"),
            "rule": "ruff/b006",
            "category": Category.CORRECTNESS,
            "severity": Severity.MEDIUM,
            "title": "Mutable default argument",
            "description": "It is shared between calls.",
            "suggestion": "Use None as the default.",
            **fields,
        }
    )


def a_file(path: str, **fields: Any) -> SourceFile:
    return SourceFile(
        **{"key": file_key(path.encode()), "path": path, "language": "python", "lines": 100, "complexity": 20, **fields}
    )
