"""Leaving a subscription finishes what it can and hands back the rest."""

from __future__ import annotations

import asyncio

import pytest

from libs.bus.api import Bus, Delivery
from tests.contract.bus.scene import Seen, SeenBatches, a_consumer, a_fact, drained, eventually, facts


async def test_a_handler_may_finish_within_the_grace_time(bus: Bus) -> None:
    await bus.publish([a_fact()])
    finished = []

    async def a_little(delivery: Delivery) -> None:
        await asyncio.sleep(0.05)
        finished.append(delivery.sequence)

    seen = Seen(a_little)
    async with bus.consume(a_consumer(), seen):
        await seen.until(1)
    [state] = await bus.consumers("reader")
    assert finished == [1]
    assert (state.ack_floor, state.in_hand) == (1, 0)


async def test_what_is_not_finished_is_delivered_elsewhere_at_once(bus: Bus) -> None:
    await bus.publish(facts(5))

    async def for_ever(delivery: Delivery) -> None:
        await asyncio.Event().wait()

    stuck, fresh = Seen(for_ever), Seen()
    # With the default wait of a minute, only what was handed back can arrive within the test's patience.
    async with bus.consume(a_consumer(max_in_flight=3), stuck):
        await stuck.until(3)
    async with bus.consume(a_consumer(), fresh):
        await fresh.until(5)
        await drained(bus)
    assert sorted(fresh.numbers) == list(range(5))
    assert stuck.running == 0


async def test_a_batch_that_is_not_finished_is_handed_back(bus: Bus) -> None:
    await bus.publish(facts(8))

    async def for_ever(_: object) -> None:
        await asyncio.Event().wait()

    stuck, fresh = SeenBatches(for_ever), SeenBatches()
    async with bus.consume_batches(a_consumer(), stuck, most=4, linger=0.2):
        await stuck.until(4)
    async with bus.consume_batches(a_consumer(), fresh, most=4):
        await drained(bus)
    assert sorted(fresh.numbers) == list(range(8))


async def test_an_error_beside_the_subscription_is_passed_on(bus: Bus) -> None:
    with pytest.raises(RuntimeError, match="beside"):
        async with bus.consume(a_consumer(), Seen()):
            raise RuntimeError("beside")


async def test_a_paused_consumer_delivers_nothing_until_it_is_resumed(bus: Bus) -> None:
    await bus.ensure_consumer(a_consumer())
    await bus.pause_consumer("reader")
    await bus.publish([a_fact(0)])
    await bus.publish([a_fact(0, scan="other")])
    seen, others = Seen(), Seen()

    async with bus.consume(a_consumer(), seen), bus.consume(a_consumer("other", scan="other"), others):
        await others.until(1)
        [state] = await bus.consumers("reader")
        assert (state.paused, state.waiting, seen.deliveries) == (True, 1, [])
        await bus.resume_consumer("reader")
        await seen.until(1)
        await drained(bus)
    [state] = await bus.consumers("reader")
    assert not state.paused


async def test_resuming_with_nobody_there_takes_nothing(bus: Bus) -> None:
    await bus.ensure_consumer(a_consumer())
    await bus.pause_consumer("reader")
    await bus.publish(facts(3))
    await bus.resume_consumer("reader")
    await bus.resume_consumer("reader")

    seen = Seen()
    async with bus.consume(a_consumer(), seen):
        await drained(bus)
    assert seen.numbers == [0, 1, 2]
    assert [delivery.attempt for delivery in seen.deliveries] == [1, 1, 1]


async def test_subscribing_again_does_not_resume(bus: Bus) -> None:
    await bus.ensure_consumer(a_consumer())
    await bus.pause_consumer("reader")

    async with bus.consume(a_consumer(max_ack_pending=7), Seen()):
        [state] = await bus.consumers("reader")
    assert state.paused


async def test_a_subscription_notices_that_its_consumer_was_deleted(bus: Bus) -> None:
    await bus.publish([a_fact()])
    seen = Seen()
    async with bus.consume(a_consumer(), seen) as subscription:
        await seen.until(1)
        assert not subscription.gone
        await bus.delete_consumer("reader")

        async def gone() -> bool:
            return subscription.gone

        await eventually(gone)
    assert await bus.consumers() == []


async def test_a_consumer_that_is_not_there_is_gone_unless_it_may_be_created(bus: Bus) -> None:
    async with bus.consume(a_consumer(), Seen(), create=False) as subscription:

        async def gone() -> bool:
            return subscription.gone

        await eventually(gone)
    assert await bus.consumers() == []


async def test_what_is_not_there_can_be_paused_resumed_and_deleted(bus: Bus) -> None:
    await bus.pause_consumer("nobody")
    await bus.resume_consumer("nobody")
    await bus.delete_consumer("nobody")


async def test_consumers_are_found_by_how_their_name_begins(bus: Bus) -> None:
    for name in ("b-2", "a-1", "b-1"):
        await bus.ensure_consumer(a_consumer(name))
        await bus.ensure_consumer(a_consumer(name))

    assert [state.name for state in await bus.consumers("b-")] == ["b-1", "b-2"]
    assert [state.name for state in await bus.consumers()] == ["a-1", "b-1", "b-2"]


async def test_more_consumers_than_fit_a_page_are_all_listed(bus: Bus) -> None:
    names = [f"c-{number:03}" for number in range(260)]
    await asyncio.gather(*(bus.ensure_consumer(a_consumer(name)) for name in names))

    assert [state.name for state in await bus.consumers("c-")] == names


async def test_a_state_counts_what_waits_and_what_is_in_hand(bus: Bus) -> None:
    await bus.publish(facts(4))
    released = asyncio.Event()

    async def hold(delivery: Delivery) -> None:
        if delivery.sequence > 1:
            await released.wait()

    seen = Seen(hold)
    async with bus.consume(a_consumer(max_in_flight=1), seen):
        await seen.until(2)
        [state] = await bus.consumers()
        assert (state.ack_floor, state.waiting, state.in_hand) == (1, 2, 1)
        released.set()
        await drained(bus)
    [state] = await bus.consumers()
    assert (state.ack_floor, state.waiting, state.in_hand) == (4, 0, 0)
