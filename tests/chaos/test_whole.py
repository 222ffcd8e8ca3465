"""A scan that is killed again and again comes to the same end as one that is left alone."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from libs.bus.api import DeadLetter, Delivery
from libs.bus.jetstream import connect
from services.standalone.embedded.directory import hold_directory
from services.standalone.embedded.servers import embedded_servers
from tests.chaos.conftest import FILES
from tests.chaos.processes import Sightings
from tests.chaos.recount import check_no_fact_twice, check_outcomes, read_stream, recount
from tests.chaos.whole import Story, check_resumption, tell_story

pytestmark = pytest.mark.chaos
SHORT = 5
KILLS_A_SCAN = 8

NewData = Callable[[], Path]


@pytest.fixture
def new_data() -> Iterator[NewData]:
    """Makes empty data directories, removed afterwards."""
    made: list[tempfile.TemporaryDirectory[str]] = []

    def make() -> Path:
        made.append(tempfile.TemporaryDirectory(prefix="strandline-chaos-", ignore_cleanup_errors=True))
        return Path(made[-1].name).resolve()

    yield make
    for directory in made:
        directory.cleanup()


async def test_a_scan_killed_at_random_moments_ends_like_one_left_alone(
    repository: Path,
    new_data: NewData,
    sightings: Sightings,
    chaos_seed: int,
    request: pytest.FixtureRequest,
) -> None:
    wanted = request.config.getoption("--chaos-kills")
    left = SHORT if wanted is None else wanted // 2
    random = Random(chaos_seed)
    print(f"--chaos-seed {chaos_seed}")
    calm = tell_story(repository, new_data(), sightings, random, kills=0, span=0)
    stories: list[Story] = []
    while left > 0:
        data = new_data()
        story = tell_story(repository, data, sightings, random, kills=min(left, KILLS_A_SCAN), span=calm.seconds[0])
        stories.append(story)
        left -= story.kills.total()

        check_resumption(story.logs)
        await _check_stream(data)
        assert _comparable(story.document) == _comparable(calm.document)

    kills = sum((story.kills for story in stories), Counter[str]())
    print(f"{dict(kills)} in {len(stories)} scans, {sum(len(story.logs) for story in stories)} runs", end=" ")
    print(f"{sum(sum(story.seconds) for story in stories):.0f} s; undisturbed {calm.seconds[0]:.1f} s")


async def _check_stream(data: Path) -> None:
    """The facts of the first scan; those after it found nothing to do."""
    facts, dead = await _read_stored(data)
    first, *others = recount(facts).values()
    check_no_fact_twice(facts)
    check_outcomes(first)
    assert len(first.listed) == FILES
    assert [len(scan.listed) for scan in others] == [0] * len(others)
    assert dead == []


async def _read_stored(data: Path) -> tuple[list[Delivery], list[DeadLetter]]:
    async with (
        hold_directory(data) as holding,
        embedded_servers(holding.path) as servers,
        connect(servers.nats_url, name="chaos") as bus,
    ):
        return await read_stream(bus), await bus.dead_letters()


def _comparable(document: dict[str, Any]) -> dict[str, Any]:
    """What must be equal: everything but ids that are made anew, times, and how far a rescan looked."""
    titles = {task["id"]: task["title"] for task in document["tasks"]}
    tasks = [
        {**task, "id": "", "depends_on": sorted(titles[id] for id in task["depends_on"])} for task in document["tasks"]
    ]
    moving = ("state", "first_scan_id", "last_scan_id")
    findings = [
        {name: value for name, value in finding.items() if name not in moving} for finding in document["findings"]
    ]
    same = ("commit", "cost", "summary", "cross_cutting_concerns", "hot_spots", "unplanned", "status", "warnings")
    return {"tasks": tasks, "findings": findings, **{name: document[name] for name in same}}
