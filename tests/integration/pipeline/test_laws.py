"""The laws of the whole pipeline: whatever is shuffled, repeated and done by several, each file has one outcome."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.bus.memory import MemoryBus
from libs.events.ledger import ScanCompleted
from libs.events.reviewer import ReviewCompleted
from tests.integration.pipeline.scene import TREES, Scanned, Shape, run, started
from tests.integration.services.differ.conftest import Repository
from tests.servers.postgres import fresh_database

_numbers = itertools.count(1)

LINES = st.sampled_from(["BUG one", "BUG two", "GAP three", "plain", "plain too"])
TEXTS = st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "".join(f"{line}\n" for line in lines).encode())
CONTENTS = st.one_of(TEXTS, TEXTS, TEXTS, st.sampled_from([b"FAIL\n", b"HALF\nBUG half\n", b"\0binary", b""]))
PATHS = st.sampled_from(["a.txt", "b.txt", "src/c.txt", "src/d.txt", "src/deep/e.txt", "package-lock.json"])
REPOSITORIES = st.lists(st.dictionaries(PATHS, CONTENTS, min_size=1), min_size=1, max_size=3)
SHAPES = st.builds(
    Shape, batch=st.sampled_from([1, 3, 100]), parallel=st.sampled_from([1, 4, 64]), replicas=st.integers(1, 2)
)


@given(trees=REPOSITORIES, shape=SHAPES, seed=st.integers(0, 2**32), duplicate=st.sampled_from([0.0, 0.3, 0.6]))
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
async def test_whatever_happens_on_the_way_every_file_has_one_outcome_and_the_tasks_are_the_same(
    postgres_url: str, tmp_path: Path, trees: TREES, shape: Shape, seed: int, duplicate: float
) -> None:
    place = tmp_path / str(next(_numbers))
    calm = await scans(MemoryBus(), place / "calm", trees, Shape(), postgres_url)
    bus = MemoryBus(shuffle=Random(seed), duplicate=duplicate)
    shaken = await scans(bus, place / "shaken", trees, shape, postgres_url)

    for quiet, rough in zip(calm, shaken, strict=True):
        check_laws(rough)
        assert rough.outcomes == quiet.outcomes
        assert rough.standing == quiet.standing
        assert [task.model_dump() for task in rough.tasks] == [task.model_dump() for task in quiet.tasks]
        assert what_was_counted(rough) == what_was_counted(quiet)
    assert await bus.dead_letters() == []


async def scans(bus: MemoryBus, place: Path, trees: TREES, shape: Shape, postgres_url: str) -> list[Scanned]:
    # The same path in both runs would be the same mirror; the same name makes tasks speak of the same place.
    repository = Repository(place / "repository").start()
    async with fresh_database(postgres_url, "differ", "ledger", "reviewer") as database:
        return await run(bus, repository, trees, database_url=database.url, mirrors=place / "mirrors", shape=shape)


def check_laws(scanned: Scanned) -> None:
    """What holds for every scan whatever it met with."""
    assert set(scanned.outcomes) == set(scanned.listed)
    assert set(scanned.listed.values()) <= {1}
    (completed,) = scanned.of(ScanCompleted)
    assert len(scanned.of(ReviewCompleted)) == 1
    coverage = completed.coverage
    parts = coverage.analysed + coverage.reused + sum(coverage.skipped.values()) + coverage.failed + coverage.unreached
    assert parts == coverage.total == started(scanned).total == len(scanned.listed)
    assert [ordinal for ordinal, *_ in scanned.accounted] == list(range(1, coverage.total + 1))
    assert sorted(path for _, path, *_ in scanned.accounted) == sorted(scanned.listed)
    assert scanned.progress.coverage == coverage


def what_was_counted(scanned: Scanned) -> tuple[object, ...]:
    """The coverage; which of equal contents was analysed and which reused is chance."""
    coverage = scanned.progress.coverage
    return coverage.analysed + coverage.reused, coverage.skipped, coverage.failed, coverage.total


async def test_a_rescan_of_what_did_not_change_lists_nothing_and_keeps_the_tasks(
    postgres_url: str, tmp_path: Path
) -> None:
    tree = {"a.txt": b"BUG one\n", "b.txt": b"GAP two\n"}
    first, second = await scans(MemoryBus(), tmp_path, [tree, tree], Shape(), postgres_url)

    assert (len(first.listed), len(second.listed)) == (2, 0)
    assert first.tasks == second.tasks
    assert first.standing == second.standing


async def test_findings_of_files_that_are_gone_do_not_stand_whichever_scan_saw_them(
    postgres_url: str, tmp_path: Path
) -> None:
    failing = {"bad.txt": b"FAIL\n"}
    trees = [
        {"a.txt": b"plain\n"},
        {"a.txt": b"plain\n", "brief.txt": b"BUG brief\n", **failing},
        {"a.txt": b"plain\n", **failing},
    ]
    scanned = await scans(MemoryBus(), tmp_path, trees, Shape(), postgres_url)

    assert [path for path, *_ in scanned[1].standing] == ["brief.txt"]
    assert scanned[2].standing == []


@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_renamed_file_keeps_its_analysis_and_its_findings(
    postgres_url: str, tmp_path: Path, replicas: int
) -> None:
    content = b"BUG one\n" + b"plain\n" * 20
    trees = [{"old.txt": content}, {"new.txt": content}]
    first, second = await scans(MemoryBus(), tmp_path, trees, Shape(replicas=replicas), postgres_url)

    assert second.progress.coverage.reused == 1
    assert [(path, line) for path, _, line in second.standing] == [("new.txt", 1)]
    assert second.outcomes == {"new.txt": "file.analyzed", "old.txt": "file.removed"}
    check_laws(first)
    check_laws(second)
