"""Facts in, facts out, over a real PostgreSQL: what is told, when, and what is told again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from libs.bus.api import Delivery, Refused, Reject, Retry
from libs.bus.memory import MemoryBus
from libs.db.database import open_database
from libs.db.migrations import migrate
from libs.events.analyzer import Severity
from libs.events.differ import ScanStarted, SkipReason
from libs.events.envelope import Fact
from libs.events.reviewer import FindingsChanged, ReviewCompleted, TaskChanged, TaskCreated
from libs.questions.reviewer import GetReview, ListFindings, ListTasks, ReviewAgain
from services.reviewer.handlers import (
    Reviewer,
    follow_scan,
    get_review,
    list_findings,
    list_tasks,
    patient,
    review_again,
    take_in,
)
from services.reviewer.store import PostgresReadModel
from tests.unit.services.reviewer.scene import (
    MOMENT,
    REPOSITORY,
    a_finding,
    analysed,
    completed,
    fingerprint,
    removed,
    skipped,
)


class Stream(MemoryBus):
    """The bus in memory; nothing can be published while it is ``down``."""

    down = False

    async def publish(self, facts: Sequence[Fact]) -> int:
        if self.down:
            raise ConnectionError("the bus is away")
        return await super().publish(facts)

    def of(self, kind: type[Fact], scan: str) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind) and fact.scan_id == scan]


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def reviewer(database_url: str, stream: Stream) -> AsyncIterator[Reviewer]:
    async with open_database(database_url, "reviewer", patience=30) as database:
        await migrate(database, "services.reviewer")
        yield Reviewer(model=PostgresReadModel(database), bus=stream)


def delivered(fact: Fact) -> Delivery:
    return Delivery(fact=fact, subject=fact.subject, sequence=1)


async def hear(reviewer: Reviewer, *facts: Fact) -> None:
    await take_in(reviewer, [delivered(fact) for fact in facts])


async def finish(reviewer: Reviewer, scan: str, **coverage: int) -> None:
    await follow_scan(reviewer, delivered(completed(scan, **coverage)))


HIGH = {"severity": Severity.HIGH}


async def test_the_changes_of_a_file_are_told(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", "x"))

    (change,) = stream.of(FindingsChanged, "s1")
    assert isinstance(change, FindingsChanged)
    assert (change.path, change.opened) == ("a.py", [fingerprint("x")])


async def test_changes_that_could_not_be_told_are_told_at_the_next_delivery(reviewer: Reviewer, stream: Stream) -> None:
    stream.down = True
    with pytest.raises(ConnectionError):
        await hear(reviewer, analysed("s1", "a.py", "x"))
    stream.down = False
    await hear(reviewer, analysed("s1", "a.py", "x"))

    assert len(stream.of(FindingsChanged, "s1")) == 1


async def test_a_fact_about_no_file_is_rejected(reviewer: Reviewer) -> None:
    with pytest.raises(Reject):
        await hear(reviewer, completed("s1"))


async def test_a_review_waits_for_every_outcome_of_its_scan(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", "x"))
    with pytest.raises(Retry):
        await finish(reviewer, "s1", analysed=1, reused=1)
    await hear(reviewer, analysed("s1", "b.py", "x"))
    await finish(reviewer, "s1", analysed=1, reused=1)

    assert len(stream.of(ReviewCompleted, "s1")) == 1


async def test_a_review_waits_for_removed_files_too(reviewer: Reviewer) -> None:
    gone = completed("s1").model_copy(
        update={"coverage": completed("s1").coverage.model_copy(update={"skipped": {SkipReason.DELETED: 1}})}
    )
    with pytest.raises(Retry):
        await follow_scan(reviewer, delivered(gone))
    await hear(reviewer, removed("s1", "a.py"))

    await follow_scan(reviewer, delivered(gone))


async def test_files_that_a_newer_scan_has_overwritten_count_for_the_older_one(
    reviewer: Reviewer, stream: Stream
) -> None:
    await hear(reviewer, analysed("s2", "a.py", "x"), analysed("s1", "a.py", "x"))
    await finish(reviewer, "s1", analysed=1)

    assert len(stream.of(ReviewCompleted, "s1")) == 1


async def test_tasks_are_told_before_the_review_that_counts_them(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", a_finding("x", **HIGH), a_finding("y", rule="ruff/z", **HIGH)))
    await finish(reviewer, "s1", analysed=1)

    told = [type(fact) for fact in stream.facts]
    review = stream.of(ReviewCompleted, "s1")[0]
    assert told == [FindingsChanged, TaskCreated, TaskCreated, ReviewCompleted]
    assert isinstance(review, ReviewCompleted)
    assert (review.tasks, review.findings, review.reviewed_at) == (2, {"high": 2}, MOMENT)


async def test_a_review_that_could_not_be_told_is_told_from_what_was_kept(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", a_finding("x", **HIGH)))
    stream.down = True
    with pytest.raises(ConnectionError):
        await finish(reviewer, "s1", analysed=1)
    stream.down = False
    await hear(reviewer, analysed("s2", "a.py", "y"))
    await finish(reviewer, "s1", analysed=1)

    (created,) = stream.of(TaskCreated, "s1")
    assert isinstance(created, TaskCreated)
    assert created.task.findings[0].endswith(fingerprint("x"))


async def test_a_task_whose_findings_are_resolved_is_done(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", a_finding("x", **HIGH)))
    await finish(reviewer, "s1", analysed=1)
    await hear(reviewer, analysed("s2", "a.py"))
    await finish(reviewer, "s2", analysed=1)

    (changed,) = stream.of(TaskChanged, "s2")
    assert isinstance(changed, TaskChanged)
    assert changed.task.state == "done"
    assert changed.reason == "all its findings are resolved in scan s2 at 0123456789ab"
    assert (await list_tasks(reviewer, ListTasks(repository_id=REPOSITORY))).total == 0


async def test_a_scan_that_found_the_same_tells_only_its_review(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", a_finding("x", **HIGH)))
    await finish(reviewer, "s1", analysed=1)
    await finish(reviewer, "s2")

    assert [type(fact) for fact in stream.facts if fact.scan_id == "s2"] == [ReviewCompleted]


async def test_a_skipped_file_no_longer_stands(reviewer: Reviewer) -> None:
    await hear(reviewer, analysed("s1", "a.py", "x"), skipped("s2", "a.py"))

    assert (await list_findings(reviewer, ListFindings(repository_id=REPOSITORY))).total == 0


@pytest.mark.parametrize(
    ("status", "coverage"), [("cancelled", {}), ("incomplete", {"failed": 1}), ("incomplete", {"unreached": 1})]
)
async def test_a_review_of_less_than_everything_is_marked_partial(
    reviewer: Reviewer, status: str, coverage: dict[str, int]
) -> None:
    await follow_scan(reviewer, delivered(completed("s1", status=status, **coverage)))

    assert (await get_review(reviewer, GetReview(scan_id="s1"))).partial


async def test_a_review_of_a_known_scan_is_not_yet_there_and_of_another_unknown(reviewer: Reviewer) -> None:
    started = ScanStarted(
        repository_id=REPOSITORY,
        scan_id="s1",
        repository="/shop",
        tree="t",
        mode="full",
        mode_reason="first",
        engine="static",
        total=1,
        queued=1,
        started_at=MOMENT,
    )
    await follow_scan(reviewer, delivered(started))

    with pytest.raises(Refused) as not_yet:
        await get_review(reviewer, GetReview(scan_id="s1"))
    with pytest.raises(Refused) as again:
        await review_again(reviewer, ReviewAgain(scan_id="s1"), now=lambda: MOMENT)
    with pytest.raises(Refused) as unknown:
        await get_review(reviewer, GetReview(scan_id="s9"))
    assert [error.value.code for error in (not_yet, again, unknown)] == ["not_yet", "not_yet", "unknown_scan"]


async def test_a_review_made_again_stands_on_what_is_there_now(reviewer: Reviewer, stream: Stream) -> None:
    await hear(reviewer, analysed("s1", "a.py", a_finding("x", **HIGH)))
    await finish(reviewer, "s1", analysed=1)
    later = MOMENT + timedelta(hours=1)
    for scan, names in (("s2", "xy"), ("s3", "xyz")):
        await hear(reviewer, analysed(scan, "a.py", *(a_finding(name, **HIGH) for name in names)))
        again = await review_again(reviewer, ReviewAgain(scan_id="s1"), now=lambda: later)

    assert await get_review(reviewer, GetReview(scan_id="s1")) == again
    assert (again.findings, again.reviewed_at) == ({"high": 3}, later)
    assert [fact.subject_key() for fact in stream.of(TaskChanged, "s1")] == [
        f"{created.subject_key()}.{number}" for created in stream.of(TaskCreated, "s1") for number in (1, 2)
    ]


async def test_a_review_made_again_is_not_told_twice(reviewer: Reviewer) -> None:
    await finish(reviewer, "s1")
    await review_again(reviewer, ReviewAgain(scan_id="s1"), now=lambda: MOMENT + timedelta(hours=1))

    async with reviewer.model.repository(REPOSITORY) as standing:
        (told,) = await standing.told("s1")
    assert isinstance(told, ReviewCompleted)
    assert told.reviewed_at == MOMENT


async def test_tasks_and_findings_are_read_page_by_page(reviewer: Reviewer) -> None:
    findings = [a_finding(str(number), rule=f"ruff/{number}", start_line=number, **HIGH) for number in range(1, 8)]
    await hear(reviewer, analysed("s1", "a.py", *(each.model_copy(update={"end_line": 9}) for each in findings)))
    await finish(reviewer, "s1", analysed=1)
    tasks, lines, cursor, place = [], [], None, None
    for _ in range(3):
        page = await list_tasks(reviewer, ListTasks(repository_id=REPOSITORY, limit=3, cursor=cursor))
        leaf = await list_findings(reviewer, ListFindings(repository_id=REPOSITORY, limit=3, cursor=place))
        cursor, place = page.cursor, leaf.cursor
        tasks += [task.id for task in page.tasks]
        lines += [each.finding.start_line for each in leaf.findings]

    assert (len(set(tasks)), cursor) == (7, None)
    assert (lines, place) == ([1, 2, 3, 4, 5, 6, 7], None)


@pytest.mark.parametrize("cursor", ["?", "e30=", "WzEsMl0=", "é"])
async def test_a_cursor_that_was_not_given_out_is_refused(reviewer: Reviewer, cursor: str) -> None:
    for ask in (
        list_tasks(reviewer, ListTasks(repository_id=REPOSITORY, cursor=cursor)),
        list_findings(reviewer, ListFindings(repository_id=REPOSITORY, cursor=cursor)),
    ):
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.code == "bad_cursor"


async def test_who_asks_while_the_database_is_away_is_refused() -> None:
    async def away(_: str) -> str:
        raise Retry("PostgreSQL went away")

    with pytest.raises(Refused, match="PostgreSQL went away"):
        await patient(away)("?")
