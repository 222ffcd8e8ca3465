"""The reviewer as a service: what it hears, tells and answers on a bus that shuffles and repeats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import pytest

from libs.bus.api import Refused
from libs.bus.memory import MemoryBus
from libs.events.analyzer import Severity
from libs.events.envelope import Fact
from libs.events.reviewer import FindingsChanged, ReviewCompleted, TaskCreated
from libs.questions.reviewer import GetReview, ListFindings, ListTasks, ReviewAgain
from services.reviewer.__main__ import open_reviewer
from services.reviewer.settings import Settings
from tests.unit.services.reviewer.scene import REPOSITORY, a_finding, analysed, completed


def settings_for(database_url: str) -> Settings:
    return Settings.model_validate({"nats_url": "nats://nowhere", "database_url": database_url, "batch": 7})


def a_scan() -> list[Fact]:
    """Sixty files with two findings each, and the fact that they are all."""
    names = [(f"app/{number % 5}/{number}.py", Severity.HIGH if number % 3 else Severity.LOW) for number in range(60)]
    files = [
        analysed(
            "s1",
            path,
            a_finding("x", severity=severity),
            a_finding("y", rule=f"ruff/{path[4]}", start_line=9, end_line=9),
        )
        for path, severity in names
    ]
    return [*files, completed("s1", analysed=60)]


def told(bus: MemoryBus) -> list[str]:
    """What the reviewer told of a scan as a whole, in its order."""
    return [fact.model_dump_json() for fact in bus.facts if isinstance(fact, TaskCreated | ReviewCompleted)]


async def test_two_replicas_on_a_bus_that_shuffles_and_repeats_tell_what_one_tells_undisturbed(
    database_url: str, fresh_schema: Callable[[str], Awaitable[str]]
) -> None:
    calm, wild = MemoryBus(), MemoryBus(shuffle=Random(7), duplicate=0.3)
    settings = settings_for(database_url)
    async with open_reviewer(settings, calm):
        await calm.publish(a_scan())
        await calm.idle()
    await fresh_schema("reviewer")
    async with open_reviewer(settings, wild), open_reviewer(settings, wild):
        await wild.publish(a_scan())
        await wild.idle()

    assert told(wild) == told(calm)
    assert len([fact for fact in wild.facts if isinstance(fact, FindingsChanged)]) == 60


async def test_every_question_is_answered(database_url: str) -> None:
    bus = MemoryBus()
    async with open_reviewer(settings_for(database_url), bus) as checks:
        await bus.publish(a_scan())
        await bus.idle()
        review = await bus.ask(GetReview(scan_id="s1"))
        tasks = await bus.ask(ListTasks(repository_id=REPOSITORY))
        findings = await bus.ask(ListFindings(repository_id=REPOSITORY, severities=[Severity.HIGH]))
        again = await bus.ask(ReviewAgain(scan_id="s1"))
        with pytest.raises(Refused):
            await bus.ask(GetReview(scan_id="s2"))
        ready = await checks["database"]()

    assert (review.tasks, findings.total, ready) == (len(tasks.tasks), 40, True)
    assert again.model_copy(update={"reviewed_at": review.reviewed_at}) == review
