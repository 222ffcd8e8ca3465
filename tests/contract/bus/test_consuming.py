"""A handler's answer decides what becomes of a delivery."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from libs.bus.api import Bus, Delivery, Reject, Retry
from tests.contract.bus.conftest import Place
from tests.contract.bus.scene import Seen, a_consumer, a_fact, drained, eventually, facts, number_of


async def test_every_fact_that_matches_is_delivered_once(bus: Bus) -> None:
    await bus.publish([*facts(20), *facts(5, scan="other")])
    seen = Seen()

    async with bus.consume(a_consumer(), seen):
        await drained(bus)
    assert sorted(seen.numbers) == list(range(20))


async def test_facts_published_later_are_delivered_too(bus: Bus) -> None:
    seen = Seen()
    async with bus.consume(a_consumer(), seen):
        await bus.publish(facts(3))
        await seen.until(3)

        await bus.publish([a_fact(3)])
        await seen.until(4)
    assert sorted(seen.numbers) == [0, 1, 2, 3]


async def test_a_delivery_says_where_it_comes_from(bus: Bus) -> None:
    await bus.publish([a_fact(7)])
    seen = Seen()

    async with bus.consume(a_consumer(), seen):
        await seen.until(1)
    delivery = seen.deliveries[0]
    assert (delivery.fact, delivery.subject, delivery.sequence, delivery.attempt) == (
        a_fact(7),
        a_fact(7).subject,
        1,
        1,
    )
    assert delivery.published_at is not None


async def test_retry_delivers_again_after_its_delay(bus: Bus) -> None:
    await bus.publish([a_fact()])
    loop, times = asyncio.get_running_loop(), []

    async def later(delivery: Delivery) -> None:
        times.append(loop.time())
        if delivery.attempt == 1:
            raise Retry("not yet", after=0.3)

    seen = Seen(later)
    async with bus.consume(a_consumer(), seen):
        await drained(bus)
    assert [delivery.attempt for delivery in seen.deliveries] == [1, 2]
    assert times[1] - times[0] >= 0.29


async def test_retry_never_counts_as_a_failure(bus: Bus) -> None:
    await bus.publish([a_fact()])

    async def many_times(delivery: Delivery) -> None:
        if delivery.attempt < 15:
            raise Retry("not yet", after=0.001)

    seen = Seen(many_times)
    async with bus.consume(a_consumer(max_attempts=2), seen):
        await drained(bus)
    assert len(seen.deliveries) == 15
    assert await bus.dead_letters() == []


async def test_reject_keeps_the_message_for_a_person(bus: Bus) -> None:
    await bus.publish([a_fact()])

    async def never(delivery: Delivery) -> None:
        raise Reject("no such repository: ärgerlich")

    seen = Seen(never)
    async with bus.consume(a_consumer(), seen):
        await drained(bus)
    [letter] = await bus.dead_letters()
    assert len(seen.deliveries) == 1
    assert (letter.consumer, letter.subject, letter.reason) == (
        "reader",
        a_fact().subject,
        "no such repository: ärgerlich",
    )
    assert letter.attempts == 1
    assert b'"src/file0"' in letter.payload


async def test_a_bug_is_tried_a_few_times_and_then_kept_for_a_person(bus: Bus) -> None:
    await bus.publish([a_fact()])

    async def bug(delivery: Delivery) -> None:
        raise KeyError("missing")

    seen = Seen(bug)
    async with bus.consume(a_consumer(max_attempts=3), seen):
        await drained(bus)
    [letter] = await bus.dead_letters()
    assert len(seen.deliveries) == 3
    assert letter.reason == "KeyError: 'missing'"
    assert letter.attempts == 3


async def test_a_bug_on_one_message_keeps_no_other_from_being_handled(bus: Bus) -> None:
    await bus.publish(facts(10))

    async def bug(delivery: Delivery) -> None:
        if number_of(delivery) == 4:
            raise RuntimeError("four")

    seen = Seen(bug)
    async with bus.consume(a_consumer(max_attempts=2, max_in_flight=1), seen):
        await drained(bus)
    assert Counter(seen.numbers) == Counter([*range(10), 4])


async def test_exhausted_is_called_instead_of_burying(bus: Bus) -> None:
    await bus.publish([a_fact()])
    told: list[tuple[Delivery, str]] = []

    async def bug(delivery: Delivery) -> None:
        raise RuntimeError("broken")

    async def exhausted(delivery: Delivery, reason: str) -> None:
        told.append((delivery, reason))

    async with bus.consume(a_consumer(max_attempts=2), Seen(bug), exhausted=exhausted):
        await drained(bus)
    assert [(delivery.fact, reason) for delivery, reason in told] == [(a_fact(), "RuntimeError: broken")]
    assert await bus.dead_letters() == []


async def test_a_bug_in_exhausted_loses_nothing(bus: Bus) -> None:
    await bus.publish([a_fact()])

    async def bug(*_: object) -> None:
        raise RuntimeError("broken")

    async with bus.consume(a_consumer(max_attempts=1), Seen(bug), exhausted=bug):
        await drained(bus)
    assert len(await bus.dead_letters()) == 1


@pytest.mark.parametrize(
    ("payload", "headers", "reason"),
    [
        (b"{", {"ce-type": "strandline.file.queued.v1"}, "strandline.file.queued.v1"),
        (b"{}", {"ce-type": "strandline.file.queued.v9"}, "unknown fact type"),
        (b"{}", {}, "unknown fact type"),
    ],
)
async def test_what_cannot_be_read_is_kept_at_once(
    place: Place, payload: bytes, headers: dict[str, str], reason: str
) -> None:
    await place.put_raw(a_fact().subject, payload, headers)
    seen = Seen()

    async with place.bus.consume(a_consumer(), seen):
        await drained(place.bus)
    [letter] = await place.bus.dead_letters()
    assert seen.deliveries == []
    assert "unreadable" in letter.reason
    assert reason in letter.reason
    assert letter.payload == payload


async def test_heartbeats_keep_a_long_handler_its_message(bus: Bus) -> None:
    await bus.publish([a_fact()])
    released = asyncio.Event()

    async def long(delivery: Delivery) -> None:
        await released.wait()

    first, second = Seen(long), Seen()
    async with bus.consume(a_consumer(ack_wait=0.6), first), bus.consume(a_consumer(ack_wait=0.6), second):
        # Either of the two may get it; whoever does keeps it for several times the wait.
        await asyncio.sleep(2.0)
        released.set()
        await drained(bus)
    assert len(first.deliveries) + len(second.deliveries) == 1


async def test_never_more_handlers_than_allowed_run_at_once(bus: Bus) -> None:
    await bus.publish(facts(60))

    async def breathe(delivery: Delivery) -> None:
        await asyncio.sleep(0.002)

    seen = Seen(breathe)
    async with bus.consume(a_consumer(max_in_flight=7), seen):
        await drained(bus)
    assert len(seen.deliveries) == 60
    assert seen.most_at_once == 7


async def test_no_more_than_allowed_is_taken_from_the_others(bus: Bus) -> None:
    await bus.publish(facts(20))
    released = asyncio.Event()

    async def hold(delivery: Delivery) -> None:
        await released.wait()

    seen = Seen(hold)
    async with bus.consume(a_consumer(max_in_flight=5), seen) as subscription:
        await seen.until(5)
        [state] = await bus.consumers("reader")
        assert subscription.in_hand == 5
        assert (state.in_hand, state.waiting) == (5, 15)
        released.set()
        await drained(bus)


async def test_a_slot_that_gets_free_is_used_while_the_others_are_busy(bus: Bus) -> None:
    await bus.publish(facts(8))
    released = asyncio.Event()

    async def three_are_slow(delivery: Delivery) -> None:
        if number_of(delivery) < 3:
            await released.wait()

    seen = Seen(three_are_slow)
    async with bus.consume(a_consumer(max_in_flight=4), seen):
        await seen.until(8)
        released.set()
        await drained(bus)
    assert sorted(seen.numbers) == list(range(8))


async def test_the_position_outlives_the_subscription(bus: Bus) -> None:
    await bus.publish(facts(5))
    async with bus.consume(a_consumer(), Seen()):
        await drained(bus)
    await bus.publish([a_fact(5)])
    seen = Seen()

    async with bus.consume(a_consumer(), seen):
        await drained(bus)
    assert seen.numbers == [5]


async def test_two_subscriptions_share_the_messages(bus: Bus) -> None:
    await bus.publish(facts(40))

    async def breathe(delivery: Delivery) -> None:
        await asyncio.sleep(0.001)

    one, two = Seen(breathe), Seen(breathe)
    async with bus.consume(a_consumer(max_in_flight=2), one), bus.consume(a_consumer(max_in_flight=2), two):
        await drained(bus)
    assert sorted(one.numbers + two.numbers) == list(range(40))
    assert one.numbers
    assert two.numbers


async def test_what_a_handler_publishes_carries_the_trace_on(bus: Bus) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("scan") as span:
        await bus.publish([a_fact()])

    async def note(delivery: Delivery) -> None:
        traces.append(trace.get_current_span().get_span_context().trace_id)
        await bus.publish([a_fact(scan="derived")])

    traces: list[int] = []
    async with bus.consume(a_consumer(), note):
        await drained(bus)
    async with bus.follow("scan.*.derived.>", since=1) as deliveries:
        derived = await anext(deliveries)
    assert traces == [span.get_span_context().trace_id]
    assert f"{traces[0]:032x}" in derived.headers["traceparent"]


async def test_a_message_whose_process_ends_each_time_is_given_up(bus: Bus) -> None:
    await bus.publish([a_fact()])
    deaths = 0

    async def dies(delivery: Delivery) -> None:
        nonlocal deaths
        deaths += 1
        await asyncio.Event().wait()

    # Each subscription is a process of its own: none of them sees how the message ends in another's hands.
    async def buried() -> bool:
        seen = Seen(dies)
        async with bus.consume(a_consumer(max_attempts=2), seen):
            await eventually(lambda: _either(bus, seen))
        return bool(await bus.dead_letters())

    await eventually(buried)
    [letter] = await bus.dead_letters()
    assert deaths == 4
    assert "process ended" in letter.reason


async def _either(bus: Bus, seen: Seen) -> bool:
    return bool(seen.deliveries) or bool(await bus.dead_letters())
