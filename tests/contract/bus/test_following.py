"""Following shows the stored facts in order and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from libs.bus.api import Bus, Delivery
from tests.contract.bus.conftest import Place
from tests.contract.bus.scene import PATIENCE, a_fact, facts, number_of


async def take(deliveries: AsyncIterator[Delivery], count: int) -> list[int]:
    async with asyncio.timeout(PATIENCE):
        return [number_of(await anext(deliveries)) for _ in range(count)]


async def test_from_a_sequence_on_it_shows_what_is_stored_and_what_comes(bus: Bus) -> None:
    await bus.publish(facts(5))
    async with bus.follow("scan.>", since=3) as deliveries:
        assert await take(deliveries, 3) == [2, 3, 4]
        await bus.publish([a_fact(5)])
        assert await take(deliveries, 1) == [5]


async def test_from_a_time_on(bus: Bus) -> None:
    await bus.publish(facts(3))
    await asyncio.sleep(0.01)
    moment = datetime.now(UTC)
    await bus.publish([a_fact(3)])

    async with bus.follow("scan.>", since=moment) as deliveries:
        assert await take(deliveries, 1) == [3]


async def test_without_a_start_only_what_comes(bus: Bus) -> None:
    await bus.publish(facts(3))
    async with bus.follow("scan.>") as deliveries:
        await bus.publish([a_fact(3)])

        assert await take(deliveries, 1) == [3]


async def test_only_what_matches(bus: Bus) -> None:
    await bus.publish([a_fact(0, scan="a"), a_fact(1, scan="b"), a_fact(2, scan="a")])

    async with bus.follow("scan.*.a.>", since=1) as deliveries:
        assert await take(deliveries, 2) == [0, 2]


async def test_what_cannot_be_read_is_passed_over(place: Place) -> None:
    await place.put_raw("scan.repo.scan1.strange", b"?", {})
    await place.bus.publish([a_fact(1)])

    async with place.bus.follow("scan.>", since=1) as deliveries:
        assert await take(deliveries, 1) == [1]


async def test_two_followers_see_the_same(bus: Bus) -> None:
    await bus.publish(facts(400))

    async with bus.follow("scan.>", since=1) as one, bus.follow("scan.>", since=1) as two:
        assert await take(one, 400) == await take(two, 400) == list(range(400))


async def test_it_leaves_no_consumer_behind(bus: Bus) -> None:
    await bus.publish(facts(1))
    async with bus.follow("scan.>", since=1) as deliveries:
        await take(deliveries, 1)
        assert await bus.consumers() == []


async def test_shouts_are_heard_by_whoever_listens_just_now(bus: Bus) -> None:
    await bus.shout("live.analyzer.s1", b"before")
    async with bus.overhear("live.analyzer.*") as heard:
        await bus.shout("live.ledger.s1", b"to others")
        await bus.shout("live.analyzer.s1", b"now")

        async with asyncio.timeout(PATIENCE):
            assert await anext(heard) == ("live.analyzer.s1", b"now")


async def test_of_too_many_shouts_the_oldest_are_dropped(bus: Bus) -> None:
    async with bus.overhear("live.>") as heard:
        for number in range(1500):
            await bus.shout("live.x", str(number).encode())
        last = b""
        async with asyncio.timeout(PATIENCE):
            await bus.shout("live.end", b"end")
            numbers = []
            while last != b"end":
                _, last = await anext(heard)
                numbers.append(last)
    assert len(numbers) <= 1501
    assert numbers[-2] == b"1499"
