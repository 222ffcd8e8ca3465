"""What happens for each fact the reviewer hears and each question it is asked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog

from libs.bus.api import Bus, Delivery, Refused, Reject, Retry
from libs.events.differ import FileFact, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import ScanCompleted
from libs.events.reviewer import ReviewCompleted
from libs.questions.reviewer import Findings, GetReview, ListFindings, ListTasks, ReviewAgain, StandingFinding, Tasks
from services.reviewer.domain.changes import compare
from services.reviewer.domain.plan import MOST_TASKS, make_plan, review_of
from services.reviewer.domain.snapshot import SEVERITY_RANK
from services.reviewer.ports import ReadModel, ReviewState, Standing

log = structlog.get_logger(__name__)

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """What every handler here is given."""

    model: ReadModel
    bus: Bus
    most_tasks: int = MOST_TASKS


async def take_in(reviewer: Reviewer, deliveries: Sequence[Delivery]) -> None:
    """What became of files: into the read model, then told what changed about their findings."""
    facts = [fact for delivery in deliveries if isinstance(fact := delivery.fact, FileFact)]
    if len(facts) < len(deliveries):
        raise Reject("not a fact about a file")
    changes = await reviewer.model.record(facts)
    if changes:
        await reviewer.bus.publish(changes)


async def follow_scan(reviewer: Reviewer, delivery: Delivery) -> None:
    """A scan that has begun is known; one that is over is reviewed."""
    match delivery.fact:
        case ScanStarted() as started:
            await reviewer.model.note(started)
        case ScanCompleted() as completed:
            await _review(reviewer, completed)
        case other:
            raise Reject(f"{other.type_name} is not about a whole scan")


async def _review(reviewer: Reviewer, completed: ScanCompleted) -> None:
    async with reviewer.model.repository(completed.repository_id) as standing:
        told = await standing.told(completed.scan_id)
        if not told:
            await _expect_all(standing, completed)
            told, review = await _make_review(reviewer, standing, completed, reviewed_at=completed.completed_at)
            log.info("scan_reviewed", scan_id=completed.scan_id, files=review.files, tasks=review.tasks)
    await reviewer.bus.publish(told)


async def _expect_all(standing: Standing, completed: ScanCompleted) -> None:
    """The review stands on every outcome the ledger has counted, or not yet."""
    heard, coverage = await standing.heard(completed.scan_id), completed.coverage
    analysed, passed = coverage.analysed + coverage.reused, sum(coverage.skipped.values())
    if heard.analysed < analysed or heard.passed < passed:
        missing = max(0, analysed - heard.analysed) + max(0, passed - heard.passed)
        raise Retry(f"{missing} outcomes of scan {completed.scan_id} have not been heard", after=0.05)


async def _make_review(
    reviewer: Reviewer, standing: Standing, completed: ScanCompleted, *, reviewed_at: datetime
) -> tuple[list[Fact], ReviewCompleted]:
    partial = bool(completed.status == "cancelled" or completed.coverage.failed or completed.coverage.unreached)
    present = await standing.snapshot()
    plan = await asyncio.to_thread(make_plan, present, most_tasks=reviewer.most_tasks, partial=partial)
    review = review_of(
        plan,
        repository_id=completed.repository_id,
        scan_id=completed.scan_id,
        partial=partial,
        reviewed_at=reviewed_at,
    )
    occasion = f"scan {completed.scan_id}" + (f" at {completed.commit[:12]}" if completed.commit else "")
    ids = {problem.id for problem in present.problems}
    updates = compare(await standing.tasks(), plan, ids, occasion=occasion)
    return await standing.keep(completed, updates, review), review


async def get_review(reviewer: Reviewer, question: GetReview) -> ReviewCompleted:
    state = await _known(reviewer, question.scan_id)
    if state.review is None:
        raise Refused(f"the review of scan {question.scan_id} is not made yet", code="not_yet")
    return state.review


async def review_again(reviewer: Reviewer, question: ReviewAgain, *, now: Callable[[], datetime]) -> ReviewCompleted:
    """The kept review is replaced, tasks that change are told; of the project's review the stream keeps the first."""
    state = await _known(reviewer, question.scan_id)
    if state.completed is None:
        raise Refused(f"scan {question.scan_id} has no review yet that could be made again", code="not_yet")
    async with reviewer.model.repository(state.repository_id) as standing:
        told, review = await _make_review(reviewer, standing, state.completed, reviewed_at=now())
    await reviewer.bus.publish(told)
    return review


async def _known(reviewer: Reviewer, scan_id: str) -> ReviewState:
    state = await reviewer.model.review(scan_id)
    if state is None:
        raise Refused(f"nothing is known of scan {scan_id}", code="unknown_scan")
    return state


async def list_tasks(reviewer: Reviewer, question: ListTasks) -> Tasks:
    after = _read_cursor(question.cursor, (int, str))
    rows, total = await reviewer.model.list_tasks(
        question.repository_id,
        question.states,
        after=(after[0], after[1]) if after else None,
        limit=question.limit,
    )
    more = len(rows) == question.limit
    return Tasks(
        tasks=[task for _, task in rows],
        total=total,
        cursor=_cursor(rows[-1][0], rows[-1][1].id) if more else None,
    )


async def list_findings(reviewer: Reviewer, question: ListFindings) -> Findings:
    after = _read_cursor(question.cursor, (int, str, int, str, str))
    found, total = await reviewer.model.list_findings(
        question, after=(after[0], after[1], after[2], after[3], after[4]) if after else None
    )
    more = len(found) == question.limit
    return Findings(findings=found, total=total, cursor=_finding_cursor(found[-1]) if more else None)


def _finding_cursor(last: StandingFinding) -> str:
    finding = last.finding
    return _cursor(SEVERITY_RANK[finding.severity], last.path[:200], finding.start_line, last.key, finding.fingerprint)


def _cursor(*parts: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _read_cursor(cursor: str | None, types: tuple[type, ...]) -> list[Any] | None:
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise Refused("this cursor is none that was given out for this list", code="bad_cursor")
    return parts


def patient(handler: Callable[[Asked], Awaitable[Answer]]) -> Callable[[Asked], Awaitable[Answer]]:
    """A question is not delivered again: what would be a Retry for a fact is a refusal for whoever asks."""

    async def answer(question: Asked) -> Answer:
        try:
            return await handler(question)
        except Retry as error:
            raise Refused(f"try again: {error.reason}", code="busy") from error

    return answer
