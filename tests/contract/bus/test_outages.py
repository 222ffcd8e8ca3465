"""NATS dies and comes back: nothing is lost, and everything goes on by itself. JetStream only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.bus.api import Bus, Delivery, NoAnswer
from libs.bus.jetstream import connect
from libs.questions.analyzer import DescribeEngines, Engines
from tests.contract.bus.scene import PATIENCE, Seen, a_consumer, a_fact, drained, eventually, facts, number_of
from tests.servers.nats import NatsServer, running_nats


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with running_nats(tmp_path) as server:
        yield server


@pytest.fixture
async def fragile(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(server.url, name="outage", grace=0.2) as bus:
        yield bus


async def restart(server: NatsServer) -> None:
    server.kill()
    await asyncio.to_thread(server.start)


async def test_publishing_waits_while_the_server_is_away(server: NatsServer, fragile: Bus) -> None:
    await fragile.publish([a_fact(0)])
    server.kill()
    publishing = asyncio.create_task(fragile.publish(facts(5)))
    await asyncio.sleep(0.3)
    assert not publishing.done()

    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE):
        assert await publishing == 4
    assert await fragile.last_sequence() == 5


async def test_nothing_is_lost_when_the_server_dies_while_facts_are_published(server: NatsServer, fragile: Bus) -> None:
    publishing = asyncio.create_task(fragile.publish(facts(6000)))

    async def under_way() -> bool:
        return await fragile.last_sequence() > 100

    await eventually(under_way)
    await restart(server)
    async with asyncio.timeout(PATIENCE):
        await publishing
    seen = Seen()
    async with fragile.consume(a_consumer(max_in_flight=500), seen):
        await drained(fragile)
    assert set(seen.numbers) == set(range(6000))
    assert await fragile.last_sequence() == 6000


async def test_consuming_goes_on_by_itself(server: NatsServer, fragile: Bus) -> None:
    await fragile.publish(facts(300))
    seen = Seen(lambda _: asyncio.sleep(0.002))

    async with fragile.consume(a_consumer(max_in_flight=10, ack_wait=2), seen):
        for deaths in range(1, 4):
            await seen.until(50 * deaths)
            await restart(server)
        await drained(fragile)
        await fragile.publish([a_fact(300)])
        await eventually(lambda: _contains(seen, 300))
    assert set(seen.numbers) == set(range(301))
    assert seen.most_at_once <= 10
    assert await fragile.dead_letters() == []


async def test_an_idle_consumer_asks_again_as_soon_as_the_server_is_back(
    server: NatsServer, fragile: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.bus.pull.HEARTBEAT", 14.0)
    monkeypatch.setattr("libs.bus.pull.Pull._look", lambda pull: None)
    seen = Seen()
    async with fragile.consume(a_consumer(), seen):
        await fragile.publish([a_fact(0)])
        await seen.until(1)
        await restart(server)
        await fragile.publish([a_fact(1)])
        await seen.until(2)
        await drained(fragile)
    assert 1 in seen.numbers


async def test_a_handler_at_work_over_an_outage_is_acknowledged_afterwards(server: NatsServer, fragile: Bus) -> None:
    await fragile.publish([a_fact()])
    released = asyncio.Event()

    async def hold(delivery: Delivery) -> None:
        await released.wait()

    seen = Seen(hold)
    async with fragile.consume(a_consumer(), seen):
        await seen.until(1)
        server.kill()
        released.set()
        await asyncio.to_thread(server.start)
        await drained(fragile)
    assert len(seen.deliveries) == 1


async def test_following_has_no_gap_and_repeats_nothing(server: NatsServer, fragile: Bus) -> None:
    await fragile.publish(facts(400))
    numbers: list[int] = []
    async with asyncio.timeout(PATIENCE), fragile.follow("scan.>", since=1) as deliveries:
        async for delivery in deliveries:
            numbers.append(number_of(delivery))
            if len(numbers) == 150:
                await restart(server)
                await fragile.publish(facts(500))
            if len(numbers) == 500:
                break
    assert numbers == list(range(500))


async def test_a_reader_that_is_far_behind_gets_everything_in_order(server: NatsServer, fragile: Bus) -> None:
    numbers: list[int] = []
    async with asyncio.timeout(PATIENCE), fragile.follow("scan.>") as deliveries:
        await restart(server)
        await fragile.publish(facts(3000))
        while len(numbers) < 3000:
            numbers.append(number_of(await anext(deliveries)))
    assert numbers == list(range(3000))


async def test_buckets_wait_too(server: NatsServer, fragile: Bus) -> None:
    bucket = await fragile.bucket("blobs")
    await bucket.put("before", b"1")
    server.kill()
    reading = asyncio.create_task(bucket.get("before"))
    writing = asyncio.create_task(bucket.put("during", b"2"))

    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE):
        await writing
        assert await reading == b"1"
        assert await bucket.get("during") == b"2"


async def test_a_question_is_not_answered_while_the_server_is_away_and_is_afterwards(
    server: NatsServer, fragile: Bus
) -> None:
    async def answer(_: DescribeEngines) -> Engines:
        return Engines(engines={"static": "1"})

    async with fragile.answer(DescribeEngines, answer):
        server.kill()
        with pytest.raises(NoAnswer):
            await fragile.ask(DescribeEngines(), timeout=0.2)
        await asyncio.to_thread(server.start)
        assert (await fragile.ask(DescribeEngines(), timeout=PATIENCE)).engines == {"static": "1"}


async def test_connecting_waits_for_a_server_that_is_not_there_yet(server: NatsServer) -> None:
    url = server.url
    server.kill()

    async def connected() -> int:
        async with connect(url, name="early") as bus:
            return await bus.publish([a_fact()])

    connecting = asyncio.create_task(connected())
    await asyncio.sleep(0.3)
    assert not connecting.done()
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE):
        assert await connecting == 1


async def test_connecting_can_be_given_up(server: NatsServer) -> None:
    url = server.url
    server.kill()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), connect(url, name="early"):
            pass


async def test_leaving_does_not_wait_for_a_server_that_is_away(server: NatsServer) -> None:
    async with asyncio.timeout(PATIENCE):
        async with connect(server.url, name="leaving", grace=0.1) as bus, bus.consume(a_consumer(), Seen()):
            server.kill()


async def test_two_that_connect_at_once_make_the_streams_together(server: NatsServer) -> None:
    async def connected() -> int:
        async with connect(server.url, name="racer") as bus:
            return await bus.last_sequence()

    assert await asyncio.gather(*(connected() for _ in range(5))) == [0] * 5


async def _contains(seen: Seen, number: int) -> bool:
    return number in seen.numbers
