"""What a subscription does with more messages than it asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from libs.bus.api import Delivery, Slots
from libs.bus.hand import Singles
from libs.bus.memory import MemoryBus
from libs.bus.verdict import Verdict
from libs.events.envelope import cloud_event_headers, encode
from tests.contract.bus.scene import Seen, a_consumer, a_fact


class Unasked:
    """A message that the server delivered although nobody had room for it."""

    def __init__(self, number: int, intake: Singles) -> None:
        fact = a_fact(number)
        self.subject = fact.subject
        self.sequence = number
        self.attempt = 1
        self.published_at = datetime.now(UTC)
        self.headers: Mapping[str, str] = cloud_event_headers(fact)
        self.payload = encode(fact)
        self.answers: list[str] = []
        self._intake = intake

    def ack(self) -> None:
        self.answers.append("ack")
        self._intake.hand.settled(self)

    def nak(self, delay: float) -> None:
        self.answers.append("nak")
        self._intake.hand.settled(self)

    def terminate(self, reason: str) -> None:
        self.answers.append("terminate")

    def working(self) -> None:
        self.answers.append("working")


async def test_messages_too_many_wait_in_hand() -> None:
    async def breathe(delivery: Delivery) -> None:
        await asyncio.sleep(0)

    consumer, seen = a_consumer(max_in_flight=2), Seen(breathe)
    intake = Singles(consumer, Verdict(consumer, MemoryBus()), seen, Slots(10))
    messages = [Unasked(number, intake) for number in range(6)]
    for message in messages:
        intake.deliver(message)

    await seen.until(6)
    await intake.close(1)
    assert seen.most_at_once == 2
    assert [message.answers for message in messages] == [["ack"]] * 6


async def test_what_waits_is_handed_back_on_leaving() -> None:
    async def hold(delivery: Delivery) -> None:
        await asyncio.Event().wait()

    consumer, seen = a_consumer(max_in_flight=1), Seen(hold)
    intake = Singles(consumer, Verdict(consumer, MemoryBus()), seen, None)
    messages = [Unasked(number, intake) for number in range(3)]
    for message in messages:
        intake.deliver(message)
    await seen.until(1)

    await intake.close(0)
    late = Unasked(9, intake)
    intake.deliver(late)
    assert [message.answers for message in [*messages, late]] == [["nak"]] * 4
    assert seen.numbers == [0]
