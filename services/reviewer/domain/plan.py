"""The review of a repository as it stands: the same findings give the same plan, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.events.analyzer import Severity
from libs.events.envelope import MAX_FACT_BYTES
from libs.events.reviewer import Concern, HotSpot, ReviewCompleted
from services.reviewer.domain import dependencies
from services.reviewer.domain.drafts import Draft, Planned, draft_copies, draft_group, write
from services.reviewer.domain.duplicates import clusters
from services.reviewer.domain.grouping import group
from services.reviewer.domain.imports import fan_in, import_graph
from services.reviewer.domain.snapshot import Snapshot
from services.reviewer.domain.summary import concerns, counts, hot_spots, summary

MOST_TASKS = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in the order in which to do them, and what is to be said of the whole."""

    tasks: tuple[Planned, ...]
    unplanned: Mapping[str, int]
    findings: Mapping[Severity, int]
    files: int
    concerns: tuple[Concern, ...]
    hot_spots: tuple[HotSpot, ...]
    summary: str


def make_plan(standing: Snapshot, *, most_tasks: int = MOST_TASKS, partial: bool = False) -> Plan:
    """The plan for what stands; what ranks below ``most_tasks`` is counted, not planned."""
    imports = import_graph(standing.files)
    drafts, unplanned = _drafts(standing, imports)
    beyond = sum(draft.findings for draft in drafts[most_tasks:])
    if beyond:
        unplanned[f"beyond the {most_tasks} tasks limit"] = beyond
    tasks = _in_order(drafts[:most_tasks], imports)
    spots = hot_spots(standing)
    return Plan(
        tasks=tuple(tasks),
        unplanned=unplanned,
        findings=counts(standing.problems),
        files=len(standing.files),
        concerns=tuple(concerns(standing)),
        hot_spots=tuple(spots),
        summary=summary(standing, [planned.task for planned in tasks], spots, unplanned, partial=partial),
    )


def review_of(plan: Plan, *, repository_id: str, scan_id: str, partial: bool, reviewed_at: datetime) -> ReviewCompleted:
    """The fact that tells of the plan; examples go before it would be too large for a fact."""
    review = ReviewCompleted(
        repository_id=repository_id,
        scan_id=scan_id,
        summary=plan.summary,
        concerns=list(plan.concerns),
        hot_spots=list(plan.hot_spots),
        files=plan.files,
        findings=dict(plan.findings),
        unplanned=dict(plan.unplanned),
        tasks=len(plan.tasks),
        partial=partial,
        reviewed_at=reviewed_at,
    )
    if len(review.model_dump_json().encode()) <= MAX_FACT_BYTES:
        return review
    bare = [concern.model_copy(update={"examples": []}) for concern in review.concerns]
    return review.model_copy(update={"concerns": bare})


def _drafts(standing: Snapshot, imports: Mapping[str, frozenset[str]]) -> tuple[list[Draft], dict[str, int]]:
    """The most urgent first, equals in the order of reading; and the findings that are in none, by reason."""
    complexity, imported = {file.path: file.complexity for file in standing.files}, fan_in(imports)
    groups, unplanned = group(standing.problems)
    drafts = [
        *(draft_group(standing.repository_id, each, complexity, imported) for each in groups),
        *(draft_copies(standing.repository_id, each, complexity, imported) for each in clusters(standing.files)),
    ]
    drafts.sort(key=lambda draft: (-draft.rank, min(draft.work.paths), draft.line, draft.work.id))
    return drafts, unplanned


def _in_order(drafts: Sequence[Draft], imports: Mapping[str, frozenset[str]]) -> list[Planned]:
    """The drafts, which come the most urgent first, written out with their dependencies, each after those."""
    by_id = {draft.work.id: draft for draft in drafts}
    urgency = {id: float(-place) for place, id in enumerate(by_id)}
    wanted = dependencies.wishes([draft.work for draft in drafts], imports)
    edges = dependencies.acyclic(wanted, urgency)
    order = dependencies.ordered(urgency, edges, urgency)
    needs = dependencies.reduced(edges, order)
    return [write(by_id[id], needs[id]) for id in order]
