"""What a new plan changes about the tasks that are known: new ones, other findings, done, regrouped, back again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from libs.events.reviewer import Task, TaskState
from services.reviewer.domain.drafts import Planned
from services.reviewer.domain.plan import Plan

LAST = 2**31 - 1
"""The position of tasks that are no longer in the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTask:
    """A task as it is kept. ``superseded``: the review closed it, not a person."""

    planned: Planned
    position: int
    superseded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A task to keep, and the reason to tell of it; an empty reason: nothing to tell."""

    known: KnownTask
    created: bool = False
    reason: str = ""


def compare(known: Mapping[str, KnownTask], plan: Plan, standing: Collection[str], *, occasion: str) -> list[Update]:
    """Updates in the order to tell them: the plan's tasks in order, then those that are closed.

    ``standing`` are the ids of all standing findings; ``occasion`` names scan and commit.
    """
    updates = [_planned(known.get(each.task.id), each, place, occasion) for place, each in enumerate(plan.tasks)]
    current = {each.task.id for each in plan.tasks}
    owner = {member: each.task.id for each in plan.tasks for member in each.members}
    gone = [known[id] for id in sorted(known) if id not in current and known[id].planned.task.state in _ACTIVE]
    return updates + [_closed(task, standing, owner, occasion) for task in gone]


_ACTIVE: tuple[TaskState, ...] = ("open", "in_progress")


def _planned(known: KnownTask | None, each: Planned, place: int, occasion: str) -> Update:
    if known is None:
        return Update(known=KnownTask(planned=each, position=place), created=True, reason="new")
    before = known.planned
    state, reason = before.task.state, ""
    if state == "done" or known.superseded:
        state, reason = "open", f"open again: its findings are back in {occasion}"
    elif before.members != each.members:
        added, removed = set(each.members) - set(before.members), set(before.members) - set(each.members)
        reason = f"{len(added)} findings added, {len(removed)} removed in {occasion}"
    task = each.task.model_copy(update={"state": state})
    return Update(known=KnownTask(planned=Planned(task, each.members), position=place), reason=reason)


def _closed(known: KnownTask, standing: Collection[str], owner: Mapping[str, str], occasion: str) -> Update:
    before = known.planned
    left = [member for member in before.members if member in standing]
    if not left:
        what = "all its findings are resolved" if before.members else "what it was about is gone"
        return _close(before, "done", f"{what} in {occasion}")
    heirs = Counter(owner[member] for member in left if member in owner)
    if not heirs:
        return _close(before, "dismissed", f"its findings are not planned any more since {occasion}")
    named = ", ".join(sorted(heirs, key=lambda id: (-heirs[id], id))[:3])
    return _close(before, "dismissed", f"regrouped in {occasion}: its findings are now in {named}")


def _close(before: Planned, state: TaskState, reason: str) -> Update:
    task: Task = before.task.model_copy(update={"state": state, "depends_on": []})
    known = KnownTask(planned=Planned(task, before.members), position=LAST, superseded=state == "dismissed")
    return Update(known=known, reason=reason)
