"""The in-memory bus can be made to deliver in any order and more than once."""

from __future__ import annotations

from random import Random

from libs.bus.api import Delivery
from libs.bus.memory import MemoryBus
from tests.contract.bus.scene import Seen, a_consumer, facts


async def test_shuffled_and_duplicated_every_fact_still_arrives() -> None:
    bus, seen = MemoryBus(shuffle=Random(7), duplicate=0.5), Seen()
    await bus.publish(facts(60))

    async with bus.consume(a_consumer(max_in_flight=3), seen):
        await bus.idle()
    assert set(seen.numbers) == set(range(60))
    assert len(seen.numbers) > 60
    assert list(dict.fromkeys(seen.numbers)) != list(range(60))


async def test_the_same_randomness_gives_the_same_order() -> None:
    async def order(seed: int) -> list[int]:
        bus, seen = MemoryBus(shuffle=Random(seed), duplicate=0.3), Seen()
        await bus.publish(facts(30))
        async with bus.consume(a_consumer(max_in_flight=1), seen):
            await bus.idle()
        return seen.numbers

    assert await order(1) == await order(1)
    assert await order(1) != await order(2)


async def test_idle_waits_for_what_handlers_publish() -> None:
    bus, derived = MemoryBus(), Seen()

    async def derive(delivery: Delivery) -> None:
        await bus.publish([delivery.fact.model_copy(update={"scan_id": "derived"})])

    await bus.publish(facts(20))
    async with bus.consume(a_consumer(), derive), bus.consume(a_consumer("d", scan="derived"), derived):
        await bus.idle()
    assert sorted(derived.numbers) == list(range(20))
    assert len(bus.facts) == 40
