"""Joining scans as they come, leaving them as they go, and sharing one process's slots among them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

from libs.bus.api import Consumer, Delivery
from libs.bus.memory import MemoryBus
from libs.events.differ import FileQueued, ScanStarted
from libs.events.subjects import analyze_consumer
from services.analyzer.turns import Turns, taking_turns
from tests.contract.bus.scene import Seen, eventually
from tests.unit.services.analyzer.scene import a_file


def a_queue(scan: str) -> Consumer:
    return Consumer(name=analyze_consumer(scan), filters=(f"scan.*.{scan}.file.queued.*",))


def a_start(scan: str) -> ScanStarted:
    return ScanStarted(
        repository_id="r",
        scan_id=scan,
        repository="/code",
        tree="t",
        mode="full",
        mode_reason="",
        engine="static",
        total=1,
        queued=1,
        started_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


def files(scan: str, count: int) -> list[FileQueued]:
    return [a_file(f"{number}.py", scan=scan) for number in range(count)]


async def given_up(_: Delivery, reason: str) -> None:
    raise AssertionError(reason)


async def test_scans_that_are_there_at_the_start_and_those_that_come_later_are_joined() -> None:
    bus, seen = MemoryBus(), Seen()
    await bus.ensure_consumer(a_queue("early"))
    await bus.publish(files("early", 3))
    async with taking_turns(Turns(bus, seen, given_up, parallel=4), bus):
        await seen.until(3)
        await bus.ensure_consumer(a_queue("late"))
        await bus.publish([a_start("late"), *files("late", 2)])
        await seen.until(5)

    assert Counter(delivery.fact.scan_id for delivery in seen.deliveries) == {"early": 3, "late": 2}


async def test_a_scan_that_is_gone_is_left_and_not_made_again() -> None:
    bus, seen = MemoryBus(), Seen()
    turns = Turns(bus, seen, given_up, parallel=4)
    await bus.ensure_consumer(a_queue("s1"))
    await bus.publish(files("s1", 1))
    await turns.reconcile()
    await seen.until(1)
    await bus.delete_consumer(analyze_consumer("s1"))
    await turns.reconcile()
    await bus.publish(files("s1", 2))
    await turns.reconcile()

    assert (turns.joined, await bus.consumers()) == ([], [])
    assert len(seen.deliveries) == 1


async def test_two_scans_share_the_slots_and_the_small_one_does_not_wait_for_the_huge_one() -> None:
    bus, go_on = MemoryBus(), asyncio.Event()

    async def wait(_: Delivery) -> None:
        await go_on.wait()

    seen = Seen(wait)
    for scan, count in (("huge", 200), ("small", 2)):
        await bus.ensure_consumer(a_queue(scan))
        await bus.publish(files(scan, count))
    turns = Turns(bus, seen, given_up, parallel=4)
    await turns.reconcile()
    await seen.until(4)
    go_on.set()
    await bus.idle()
    await turns.leave_all()

    order = [delivery.fact.scan_id for delivery in seen.deliveries]
    assert seen.most_at_once == 4
    assert max(place for place, scan in enumerate(order) if scan == "small") < 20
    assert Counter(order) == {"huge": 200, "small": 2}


async def test_a_new_scan_is_joined_while_a_cancelled_ones_file_takes_its_time() -> None:
    bus, go_on = MemoryBus(grace=60.0), asyncio.Event()

    async def wait_if_old(delivery: Delivery) -> None:
        if delivery.fact.scan_id == "old":
            await go_on.wait()

    seen = Seen(wait_if_old)
    turns = Turns(bus, seen, given_up, parallel=4)
    await bus.ensure_consumer(a_queue("old"))
    await bus.publish(files("old", 1))
    await turns.reconcile()
    await seen.until(1)
    await bus.delete_consumer(analyze_consumer("old"))
    await bus.ensure_consumer(a_queue("new"))
    await bus.publish(files("new", 1))
    await turns.reconcile()
    await turns.reconcile()
    await seen.until(2)

    assert seen.running >= 1
    go_on.set()
    await turns.leave_all()
    assert seen.running == 0


async def test_nothing_is_joined_any_more_once_all_are_left() -> None:
    bus, go_on = MemoryBus(grace=60.0), asyncio.Event()

    async def wait(_: Delivery) -> None:
        await go_on.wait()

    seen = Seen(wait)
    turns = Turns(bus, seen, given_up, parallel=4)
    await bus.ensure_consumer(a_queue("s1"))
    await bus.publish(files("s1", 1))

    async def work() -> None:
        async with taking_turns(turns, bus):
            await seen.until(1)

    working = asyncio.create_task(work())
    await seen.until(1)

    async def is_leaving() -> bool:
        return turns.joined == []

    await eventually(is_leaving)
    await bus.ensure_consumer(a_queue("s2"))
    await bus.publish([a_start("s2"), *files("s2", 1)])
    go_on.set()
    await working

    assert turns.joined == []
    assert {delivery.fact.scan_id for delivery in seen.deliveries} == {"s1"}
