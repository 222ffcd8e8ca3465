"""Several subscriptions share one bound and take turns."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from libs.bus.api import Bus, Delivery, Slots
from tests.contract.bus.scene import Seen, a_consumer, drained, facts


async def test_over_all_subscriptions_no_more_handlers_run_than_there_are_slots(bus: Bus) -> None:
    running, most = 0, 0

    async def count(delivery: Delivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    slots, seen = Slots(4), [Seen(count) for _ in range(6)]
    for number in range(6):
        await bus.publish(facts(15, scan=f"s{number}"))
    async with AsyncExitStack() as stack:
        for number in range(6):
            await stack.enter_async_context(
                bus.consume(a_consumer(f"c{number}", scan=f"s{number}"), seen[number], slots=slots)
            )
        for number in range(6):
            await drained(bus, f"c{number}")
    assert most == 4
    assert all(sorted(handler.numbers) == list(range(15)) for handler in seen)
    assert slots.running == 0


async def test_a_small_scan_does_not_wait_behind_a_huge_one(bus: Bus) -> None:
    order: list[str] = []

    async def note(delivery: Delivery) -> None:
        await asyncio.sleep(0.001)
        order.append(delivery.fact.scan_id)

    slots = Slots(4)
    huge = Seen(note)
    await bus.publish(facts(300, scan="huge"))
    async with bus.consume(a_consumer("huge", scan="huge"), huge, slots=slots):
        await huge.until(20)
        await bus.publish(facts(10, scan="small"))
        async with bus.consume(a_consumer("small", scan="small"), Seen(note), slots=slots):
            await drained(bus, "small")
            done_by_then = order.count("huge")
            await drained(bus, "huge")
    assert done_by_then < 200


async def test_an_idle_subscription_leaves_the_slots_to_the_busy_one(bus: Bus) -> None:
    released = asyncio.Event()

    async def hold(delivery: Delivery) -> None:
        await released.wait()

    slots, busy = Slots(8), Seen(hold)
    await bus.publish(facts(20, scan="busy"))
    async with (
        bus.consume(a_consumer("idle", scan="idle"), Seen(), slots=slots),
        bus.consume(a_consumer("busy", scan="busy"), busy, slots=slots),
    ):
        await busy.until(8)
        assert slots.running == 8
        released.set()
        await drained(bus, "busy")


async def test_when_one_ends_the_other_gets_its_slots(bus: Bus) -> None:
    released = asyncio.Event()

    async def hold(delivery: Delivery) -> None:
        await released.wait()

    slots, one, two = Slots(4), Seen(hold), Seen(hold)
    await bus.publish([*facts(2, scan="one"), *facts(20, scan="two")])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bus.consume(a_consumer("one", scan="one"), one, slots=slots))
        await one.until(2)
        async with bus.consume(a_consumer("two", scan="two"), two, slots=slots):
            await two.until(2)
            released.set()
            await drained(bus, "one")
            await drained(bus, "two")
    assert len(two.deliveries) == 20
