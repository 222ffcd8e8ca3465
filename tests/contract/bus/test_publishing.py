"""A fact is published once and for all."""

from __future__ import annotations

import pytest

from libs.bus.api import Bus
from libs.events.analyzer import FileFailed
from libs.events.envelope import MAX_FACT_BYTES
from tests.contract.bus.scene import a_fact, facts


async def test_new_facts_are_counted(bus: Bus) -> None:
    assert await bus.publish(facts(3)) == 3


async def test_publishing_again_succeeds_and_stores_nothing(bus: Bus) -> None:
    await bus.publish(facts(3))

    assert await bus.publish(facts(5)) == 2
    assert await bus.last_sequence() == 5


async def test_publishing_nothing_is_fine(bus: Bus) -> None:
    assert await bus.publish([]) == 0
    assert await bus.last_sequence() == 0


async def test_the_first_version_of_a_fact_stays(bus: Bus) -> None:
    await bus.publish([a_fact(1)])
    await bus.publish([a_fact(1).model_copy(update={"engine": "llm"})])

    async with bus.follow("scan.>", since=1) as deliveries:
        assert (await anext(deliveries)).fact == a_fact(1)


async def test_of_a_sequence_with_one_fact_too_large_nothing_is_sent(bus: Bus) -> None:
    large = a_fact(9).model_copy(update={"path": "x" * (MAX_FACT_BYTES + 1)})

    with pytest.raises(ValueError, match="over the limit"):
        await bus.publish([a_fact(1), large])
    assert await bus.last_sequence() == 0


async def test_more_facts_than_fit_the_window_keep_their_order(bus: Bus) -> None:
    await bus.publish(facts(2500))

    numbers = []
    async with bus.follow("scan.>", since=1) as deliveries:
        while len(numbers) < 2500:
            numbers.append((await anext(deliveries)).fact.size)  # type: ignore[attr-defined]
    assert numbers == list(range(2500))


async def test_an_envelope_says_what_the_fact_is(bus: Bus) -> None:
    fact = FileFailed(repository_id="repo", scan_id="scan1", key="0" * 16, path="ä b", reason="timeout")
    await bus.publish([fact])

    async with bus.follow("scan.>", since=1) as deliveries:
        headers = (await anext(deliveries)).headers
    assert headers["ce-type"] == "strandline.file.failed.v1"
    assert headers["ce-id"] == fact.subject
    assert headers["ce-source"] == "strandline/analyzer"
