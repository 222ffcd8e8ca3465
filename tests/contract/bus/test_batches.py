"""Batches are answered together, and taken apart when one member is guilty."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.bus.api import Bus, Delivery, Reject, Retry
from tests.contract.bus.conftest import Place
from tests.contract.bus.scene import SeenBatches, a_consumer, a_fact, drained, facts, number_of


async def test_deliveries_come_in_batches_of_at_most_so_many(bus: Bus) -> None:
    await bus.publish(facts(25))
    seen = SeenBatches()

    async with bus.consume_batches(a_consumer(), seen, most=10, linger=0.2):
        await drained(bus)
    assert [len(batch) for batch in seen.batches] == [10, 10, 5]
    assert seen.numbers == list(range(25))


async def test_one_batch_is_handled_at_a_time(bus: Bus) -> None:
    await bus.publish(facts(30))
    running, most = 0, 0

    async def count(deliveries: Sequence[Delivery]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    async with bus.consume_batches(a_consumer(), count, most=5):
        await drained(bus)
    assert most == 1


async def test_a_batch_is_no_larger_than_what_may_be_in_hand(bus: Bus) -> None:
    await bus.publish(facts(12))
    seen = SeenBatches()

    async with bus.consume_batches(a_consumer(max_in_flight=4), seen, most=100):
        await drained(bus)
    assert max(len(batch) for batch in seen.batches) <= 4
    assert sorted(seen.numbers) == list(range(12))


async def test_retry_hands_the_whole_batch_back(bus: Bus) -> None:
    await bus.publish(facts(6))

    async def first_time_not(deliveries: Sequence[Delivery]) -> None:
        if deliveries[0].attempt == 1:
            raise Retry("not yet", after=0.05)

    seen = SeenBatches(first_time_not)
    async with bus.consume_batches(a_consumer(), seen, most=6, linger=0.2):
        await drained(bus)
    assert sorted(seen.numbers) == sorted([*range(6), *range(6)])
    assert await bus.dead_letters() == []


async def test_only_the_rejected_member_is_kept_for_a_person(bus: Bus) -> None:
    await bus.publish(facts(6))
    done: list[int] = []

    async def not_three(deliveries: Sequence[Delivery]) -> None:
        if any(number_of(delivery) == 3 for delivery in deliveries):
            raise Reject("three")
        done.extend(number_of(delivery) for delivery in deliveries)

    async with bus.consume_batches(a_consumer(), not_three, most=6, linger=0.2):
        await drained(bus)
    [letter] = await bus.dead_letters()
    assert sorted(done) == [0, 1, 2, 4, 5]
    assert (letter.subject, letter.reason) == (a_fact(3).subject, "three")


async def test_only_the_member_with_the_bug_is_tried_again(bus: Bus) -> None:
    await bus.publish(facts(6))

    async def bug(deliveries: Sequence[Delivery]) -> None:
        if any(number_of(delivery) == 3 for delivery in deliveries):
            raise RuntimeError("three")

    seen = SeenBatches(bug)
    async with bus.consume_batches(a_consumer(max_attempts=2), seen, most=6, linger=0.2):
        await drained(bus)
    [letter] = await bus.dead_letters()
    assert letter.reason == "RuntimeError: three"
    assert seen.batches[0] == list(range(6))
    assert [3] in seen.batches
    assert seen.numbers.count(3) == 3
    assert all(seen.numbers.count(number) == 2 for number in (0, 1, 2, 4, 5))


async def test_what_cannot_be_read_does_not_spoil_its_batch(place: Place) -> None:
    await place.put_raw("scan.repo.scan1.file.queued.x", b"{", {"ce-type": "strandline.file.queued.v1"})
    await place.bus.publish(facts(3))
    seen = SeenBatches()

    async with place.bus.consume_batches(a_consumer(), seen, most=4, linger=0.2):
        await drained(place.bus)
    assert seen.batches == [[0, 1, 2]]
    assert len(await place.bus.dead_letters()) == 1
