"""What the differ keeps, on a real database: one active scan, bases, and turns that are handed out once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from libs.events.differ import ScanRequested
from libs.questions.differ import ChangeRepository, RegisterRepository
from services.differ.domain.plan import Plan
from services.differ.store import PostgresRepositories
from tests.integration.services.differ.scene import NOON


async def a_repository(
    store: PostgresRepositories, repository_id: str = "r", location: str = "/code", branch: str | None = None
) -> str:
    question = RegisterRepository(location=location, branch=branch)
    return (await store.register(repository_id, question)).id


def a_request(scan_id: str, repository_id: str = "r") -> ScanRequested:
    return ScanRequested(repository_id=repository_id, scan_id=scan_id, requested_at=NOON)


def a_plan(tree: str, digest: str = "d") -> Plan:
    return Plan(
        tree=tree,
        commit=f"commit-of-{tree}",
        branch="main",
        uncommitted=False,
        base_tree=None,
        known_tree=None,
        mode_reason="everything",
        engine="static",
        engine_digest=digest,
        settings_digest="s",
        started_at=NOON,
        warnings=[],
    )


async def a_past_scan(
    store: PostgresRepositories, scan_id: str, *, tree: str, digest: str = "d", covered: bool = True
) -> None:
    await store.request(a_request(scan_id), again=False)
    await store.keep_plan(scan_id, a_plan(tree, digest))
    await store.activate(scan_id)
    await store.complete(scan_id, covered=covered)


async def test_the_same_location_and_branch_are_the_same_repository(store: PostgresRepositories) -> None:
    ids = {await a_repository(store, "one"), await a_repository(store, "two", branch="")}
    other = await a_repository(store, "three", branch="main")

    assert (ids, other) == ({"one"}, "three")
    assert [repository.branch for repository in await store.repositories()] == ["main", None]


async def test_registering_at_once_makes_one_repository(store: PostgresRepositories) -> None:
    ids = await asyncio.gather(*(a_repository(store, f"r{number}") for number in range(8)))

    assert len(set(ids)) == 1


async def test_what_is_not_named_stays_when_a_repository_is_changed(store: PostgresRepositories) -> None:
    await a_repository(store)
    await store.change(ChangeRepository(repository_id="r", interval_seconds=600, budget_ticks=7))
    await store.change(ChangeRepository(repository_id="r", enabled=False))
    await store.change(ChangeRepository(repository_id="r", engine="static"))

    repository = await store.repository("r")
    assert repository is not None
    assert (repository.interval_seconds, repository.budget_ticks, repository.enabled, repository.engine) == (
        600,
        7,
        False,
        "static",
    )


async def test_what_is_due_is_handed_out_once_an_interval_to_one_replica(store: PostgresRepositories) -> None:
    for number in range(30):
        question = RegisterRepository(location=f"/code/{number}", interval_seconds=600)
        await store.register(f"r{number}", question)
    await store.change(ChangeRepository(repository_id="r3", enabled=False))
    await store.change(ChangeRepository(repository_id="r4", interval_seconds=0))
    later = (await anchor(store)) + timedelta(seconds=700)

    handed_out = await asyncio.gather(*(store.due(later) for _ in range(4)))
    ids = [repository_id for some in handed_out for repository_id in some]

    assert sorted(ids) == sorted(f"r{number}" for number in range(30) if number not in (3, 4))
    assert await store.due(later) == []
    assert len(await store.due(later + timedelta(seconds=601))) == 20


async def anchor(store: PostgresRepositories) -> datetime:
    """The database's time: intervals begin there."""
    (first, *_) = await store.repositories()
    assert first.registered_at is not None
    return first.registered_at


async def test_of_many_requests_at_once_one_becomes_the_scan_and_the_others_join_it(
    store: PostgresRepositories,
) -> None:
    await a_repository(store)
    answers = await asyncio.gather(*(store.request(a_request(f"s{number}"), again=False) for number in range(10)))

    joined = {scan.id for scan in answers if scan is not None}
    assert (answers.count(None), len(joined)) == (1, 1)


async def test_a_request_while_a_scan_ends_is_never_lost(store: PostgresRepositories) -> None:
    await a_repository(store)
    for number in range(20):
        await store.request(a_request(f"s{number:02}a"), again=False)
        _, answer = await asyncio.gather(
            store.complete(f"s{number:02}a", covered=False), store.request(a_request(f"s{number:02}b"), again=False)
        )
        active = await store.scan(f"s{number:02}b")
        assert (active is None) == (answer is not None)
        await store.complete(f"s{number:02}b", covered=False)


async def test_a_request_for_a_repository_that_is_gone_says_so(store: PostgresRepositories) -> None:
    with pytest.raises(KeyError):
        await store.request(a_request("s"), again=False)


async def test_a_repository_with_an_active_scan_is_not_removed(store: PostgresRepositories) -> None:
    await a_repository(store)
    await store.request(a_request("s"), again=False)

    assert await store.remove("r") == "s"
    await store.complete("s", covered=False)
    assert await store.remove("r") is None
    assert await store.repository("r") is None
    assert await store.scan("s") is None


async def test_removing_and_requesting_at_once_leaves_no_scan_without_its_repository(
    store: PostgresRepositories,
) -> None:
    for number in range(20):
        repository_id = await a_repository(store, f"r{number}")
        prevented_by, requested = await asyncio.gather(
            store.remove(repository_id),
            store.request(a_request(f"s{number}", repository_id), again=False),
            return_exceptions=True,
        )
        there = await store.scan(f"s{number}") is not None
        assert there == (prevented_by is not None) == (not isinstance(requested, KeyError))
        await store.complete(f"s{number}", covered=False)
        await store.remove(repository_id)


async def test_the_first_plan_stays(store: PostgresRepositories) -> None:
    await a_repository(store)
    await store.request(a_request("s"), again=False)
    first = await store.keep_plan("s", a_plan("one"))
    second = await store.keep_plan("s", a_plan("two"))

    assert first is not None
    assert first == second
    assert first.tree == "one"


async def test_a_scan_that_was_ended_gets_no_plan_and_stays_ended(store: PostgresRepositories) -> None:
    await a_repository(store)
    await store.request(a_request("s"), again=False)
    await store.complete("s", covered=False)

    assert await store.keep_plan("s", a_plan("one")) is None
    await store.activate("s")
    await store.fail("s", "late")
    scan = await store.scan("s")
    assert scan is not None
    assert (scan.state, scan.plan) == ("completed", None)


async def test_only_covered_scans_of_the_same_engine_and_settings_are_a_base(store: PostgresRepositories) -> None:
    await a_repository(store)
    await a_past_scan(store, "s1", tree="one")
    await a_past_scan(store, "s2", tree="two", digest="other")
    await a_past_scan(store, "s3", tree="three", covered=False)

    base, other = await store.base("r", "d"), await store.base("r", "other")
    last = await store.last_covered("r")
    assert base is not None
    assert other is not None
    assert last is not None
    assert (base.scan_id, other.scan_id, last.tree) == ("s1", "s2", "two")
    assert await store.base("r", "unknown") is None
    assert await store.trees_since("r", "s1", most=5) == ["three", "two"]
    assert await store.trees_since("r", "", most=2) == ["three", "two"]


async def test_trees_that_a_later_scan_can_be_compared_with_are_not_superseded(store: PostgresRepositories) -> None:
    await a_repository(store)
    await a_past_scan(store, "s1", tree="one")
    await a_past_scan(store, "s2", tree="two", digest="other")
    await a_past_scan(store, "s3", tree="three", covered=False)
    await a_past_scan(store, "s4", tree="four")

    assert await store.superseded("r", "s4") == ["s1", "s3"]
    for scan_id in ("s1", "s3"):
        await store.let_go(scan_id)
    assert await store.superseded("r", "s4") == []
    base = await store.base("r", "other")
    assert base is not None
    assert base.tree == "two"


async def test_a_scan_asked_for_again_is_followed_once(store: PostgresRepositories) -> None:
    await a_repository(store)
    await store.request(a_request("s1"), again=False)
    for number in range(3):
        joined = await store.request(a_request(f"x{number}"), again=True)
        assert joined is not None
    assert await store.complete("s1", covered=True)

    await asyncio.gather(*(store.follow_up("s1", a_request(f"s2-{number}")) for number in range(3)))

    untold = await store.untold()
    assert len(untold) == 1
    assert await store.active_count() == 0
    await store.complete(untold[0].scan_id, covered=True)
    await store.follow_up("s1", a_request("s3"))
    assert await store.untold() == []
