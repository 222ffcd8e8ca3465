"""Every fact there is, by its CloudEvents type: how a subscriber's bytes become a fact again."""

from __future__ import annotations

from pydantic import ValidationError

from libs.events.analyzer import FileAnalyzed, FileFailed
from libs.events.differ import FileQueued, FileRemoved, FileSkipped, ScanFailed, ScanRequested, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import BudgetWarned, ScanCancelled, ScanCompleted, ScanHalted, ScanResumed
from libs.events.reviewer import FindingsChanged, ReviewCompleted, TaskChanged, TaskCreated

FACTS: tuple[type[Fact], ...] = (
    ScanRequested,
    ScanStarted,
    ScanFailed,
    FileQueued,
    FileSkipped,
    FileRemoved,
    FileAnalyzed,
    FileFailed,
    BudgetWarned,
    ScanHalted,
    ScanResumed,
    ScanCancelled,
    ScanCompleted,
    FindingsChanged,
    ReviewCompleted,
    TaskCreated,
    TaskChanged,
)

BY_TYPE = {fact.type_name: fact for fact in FACTS}


class Unreadable(ValueError):
    """The bytes are no fact that this version knows."""


def decode(type_name: str | None, payload: bytes) -> Fact:
    """The fact that was published.

    Raises:
        Unreadable: the type is unknown here, or the payload is not of that type.
    """
    fact_type = BY_TYPE.get(type_name or "")
    if fact_type is None:
        raise Unreadable(f"unknown fact type {type_name!r}")
    try:
        return fact_type.model_validate_json(payload)
    except ValidationError as error:
        raise Unreadable(
            f"{type_name}: {error.error_count()} fields are wrong, first {error.errors()[0]['loc']}"
        ) from error
