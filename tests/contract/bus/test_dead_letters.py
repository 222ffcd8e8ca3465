"""What was given up can be looked at and tried again."""

from __future__ import annotations

import pytest

from libs.bus.api import Bus, Delivery, NoAnswer, Reject, Retry
from tests.contract.bus.scene import Seen, a_consumer, drained, eventually, facts


async def refuse(delivery: Delivery) -> None:
    raise Reject("not today")


async def with_dead_letters(bus: Bus, count: int) -> None:
    await bus.publish(facts(count))
    async with bus.consume(a_consumer(max_in_flight=1), refuse):
        await drained(bus)


async def test_the_newest_come_first(bus: Bus) -> None:
    await with_dead_letters(bus, 5)

    letters = await bus.dead_letters(3)
    assert [letter.subject for letter in letters] == [fact.subject for fact in reversed(facts(5))][:3]
    assert letters[0].died_at >= letters[-1].died_at


async def test_there_are_none_at_first(bus: Bus) -> None:
    assert await bus.dead_letters() == []


async def test_more_than_a_page_of_them(bus: Bus) -> None:
    await with_dead_letters(bus, 300)

    letters = await bus.dead_letters(280)
    assert [letter.subject for letter in letters] == [fact.subject for fact in reversed(facts(300))][:280]


async def test_redriving_delivers_once_more_and_removes_it(bus: Bus) -> None:
    await with_dead_letters(bus, 2)
    newest, oldest = await bus.dead_letters()
    seen = Seen()

    async with bus.consume(a_consumer(), seen):
        await bus.redrive(newest.sequence)
    assert seen.numbers == [1]
    assert await bus.dead_letters() == [oldest]


async def test_given_up_again_it_is_dead_again_with_the_new_reason(bus: Bus) -> None:
    await with_dead_letters(bus, 1)
    [letter] = await bus.dead_letters()

    async def still_not(delivery: Delivery) -> None:
        raise Reject("still not")

    async with bus.consume(a_consumer(), still_not):
        await bus.redrive(letter.sequence)
    assert [letter.reason for letter in await bus.dead_letters()] == ["still not"]


async def test_redriven_too_early_it_is_tried_until_it_is_done(bus: Bus) -> None:
    await with_dead_letters(bus, 1)
    [letter] = await bus.dead_letters()
    tries = 0

    async def third_time(delivery: Delivery) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Retry("not yet", after=0.01)

    async def none_left() -> bool:
        return not await bus.dead_letters()

    async with bus.consume(a_consumer(), third_time):
        await bus.redrive(letter.sequence)
        await eventually(none_left)
    assert tries == 3


async def test_without_a_consumer_it_stays(bus: Bus) -> None:
    await with_dead_letters(bus, 1)
    [letter] = await bus.dead_letters()

    with pytest.raises(NoAnswer):
        await bus.redrive(letter.sequence)
    assert await bus.dead_letters() == [letter]


async def test_what_is_not_there_cannot_be_redriven(bus: Bus) -> None:
    with pytest.raises(KeyError):
        await bus.redrive(17)
