"""Between two reviews a task is new, changed, done, regrouped or back again, and says why."""

from __future__ import annotations

from collections.abc import Sequence

from libs.events.analyzer import Severity
from services.reviewer.domain.changes import LAST, KnownTask, Update, compare
from services.reviewer.domain.plan import make_plan
from services.reviewer.domain.snapshot import Problem, snapshot
from tests.unit.services.reviewer.scene import REPOSITORY, a_file, a_problem

ONE, TWO, OTHER = (
    a_problem("a.py", "1", severity=Severity.HIGH),
    a_problem("a.py", "2", severity=Severity.HIGH),
    a_problem("b.py", "3", severity=Severity.HIGH, rule="ruff/x"),
)


def review(known: dict[str, KnownTask], *problems: Problem, most: int = 10) -> list[Update]:
    standing = snapshot(REPOSITORY, [a_file("a.py"), a_file("b.py")], problems)
    plan = make_plan(standing, most_tasks=most)
    return compare(known, plan, {problem.id for problem in problems}, occasion="scan s2")


def kept(*runs: Sequence[Update]) -> dict[str, KnownTask]:
    return {update.known.planned.task.id: update.known for run in runs for update in run}


def test_a_new_task_is_created() -> None:
    (update,) = review({}, ONE)

    assert (update.created, update.known.planned.task.state, update.known.position) == (True, "open", 0)


def test_the_same_findings_tell_nothing() -> None:
    (update,) = review(kept(review({}, ONE)), ONE)

    assert (update.created, update.reason) == (False, "")


def test_other_findings_are_told() -> None:
    (update,) = review(kept(review({}, ONE)), ONE, TWO)

    assert update.reason == "1 findings added, 0 removed in scan s2"


def test_a_task_without_findings_is_done() -> None:
    (update,) = review(kept(review({}, ONE)))

    assert (update.known.planned.task.state, update.known.position) == ("done", LAST)
    assert update.reason == "all its findings are resolved in scan s2"


def test_a_closed_task_is_told_once() -> None:
    first = review({}, ONE)

    assert review(kept(first, review(kept(first)))) == []


def test_findings_that_come_back_open_their_task_again() -> None:
    first = review({}, ONE)
    (update,) = review(kept(first, review(kept(first))), ONE)

    assert (update.known.planned.task.state, update.created) == ("open", False)
    assert "open again" in update.reason


def test_a_task_beyond_the_limit_is_dismissed_and_comes_back_when_there_is_room() -> None:
    first = review({}, ONE, OTHER)
    second = review(kept(first), ONE, OTHER, most=1)
    third = review(kept(first, second), ONE, OTHER)

    assert [update.known.planned.task.state for update in second] == ["open", "dismissed"]
    assert [update.known.planned.task.state for update in third] == ["open", "open"]


def test_work_in_progress_stays_so() -> None:
    (update,) = review({}, ONE)
    task = update.known.planned.task.model_copy(update={"state": "in_progress"})
    known = KnownTask(planned=type(update.known.planned)(task, update.known.planned.members), position=0)
    (update,) = review({task.id: known}, ONE, TWO)

    assert update.known.planned.task.state == "in_progress"
