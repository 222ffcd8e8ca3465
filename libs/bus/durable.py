"""The in-memory bus's stream and durable consumers: what nats-server does for the other one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from libs.bus.api import Consumer, ConsumerState
from libs.bus.hand import Batches, Singles


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One message of the stream."""

    sequence: int
    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    published_at: datetime


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject fits a pattern: ``*`` is one token, ``>`` at the end is one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and _fit(wanted[:-1], given)
    return len(given) == len(wanted) and _fit(wanted, given)


def _fit(wanted: list[str], given: list[str]) -> bool:
    return all(token in ("*", other) for token, other in zip(wanted, given, strict=False))


class Durable:
    """A durable consumer: what still has to be delivered, to whom, and what has been acknowledged.

    With ``chance`` messages come out of order, and ``duplicate`` of them (a fraction) more than once.
    """

    def __init__(self, consumer: Consumer, chance: Random | None, duplicate: float) -> None:
        self.consumer = consumer
        self.paused = False
        self.deleted = False
        self.intakes: list[Singles | Batches] = []
        self._chance = chance
        self._duplicate = duplicate
        self._matching: list[int] = []
        self._done: set[int] = set()
        self._floor = 0
        self._waiting: deque[Stored] = deque()
        self._attempts: dict[int, int] = {}
        self._held: set[MemoryHeld] = set()
        self._delayed = 0
        self._planned = False
        self._redelivered = 0

    @property
    def idle(self) -> bool:
        """Nothing waits, is in hand or comes again."""
        return not self._waiting and not self._held and not self._delayed

    def hears(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.consumer.filters)

    def add(self, stored: Stored) -> None:
        self._matching.append(stored.sequence)
        self._waiting.append(stored)
        self.plan()

    def state(self) -> ConsumerState:
        while self._floor < len(self._matching) and self._matching[self._floor] in self._done:
            self._floor += 1
        undelivered = sum(1 for stored in self._waiting if stored.sequence not in self._attempts)
        return ConsumerState(
            name=self.consumer.name,
            ack_floor=self._matching[self._floor - 1] if self._floor else 0,
            waiting=undelivered,
            in_hand=len(self._held) + self._delayed + len(self._waiting) - undelivered,
            redelivered=self._redelivered,
            paused=self.paused,
        )

    def plan(self) -> None:
        """Deliver what can be delivered, a moment later, as a server would."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def give_again(self, held: MemoryHeld, delay: float) -> None:
        if delay <= 0:
            self._waiting.appendleft(held.stored)
            self.plan()
            return
        self._delayed += 1
        asyncio.get_running_loop().call_later(delay, self._delay_ended, held.stored)

    def release(self, held: MemoryHeld, *, done: bool) -> None:
        """The message left a subscription's hand; ``done``: it is acknowledged or terminated."""
        self._held.discard(held)
        if done:
            self._done.add(held.sequence)
        self.plan()

    def _delay_ended(self, stored: Stored) -> None:
        self._delayed -= 1
        self._waiting.appendleft(stored)
        self.plan()

    def _deliver(self) -> None:
        self._planned = False
        while self._waiting and not self.paused and len(self._held) < self.consumer.max_ack_pending:
            intake = next((intake for intake in self.intakes if intake.room() > 0), None)
            if intake is None:
                return
            self.intakes.remove(intake)
            self.intakes.append(intake)
            self._hand_over(self._next(), intake)

    def _next(self) -> Stored:
        if self._chance is None:
            return self._waiting.popleft()
        place = self._chance.randrange(len(self._waiting))
        stored = self._waiting[place]
        del self._waiting[place]
        if self._chance.random() < self._duplicate:
            self._waiting.append(stored)
        return stored

    def _hand_over(self, stored: Stored, intake: Singles | Batches) -> None:
        attempt = self._attempts.get(stored.sequence, 0) + 1
        self._attempts[stored.sequence] = attempt
        self._redelivered += attempt > 1
        held = MemoryHeld(self, stored, attempt, intake)
        self._held.add(held)
        intake.deliver(held)


class MemoryHeld:
    """A message in a subscription's hand, until it is answered or has been silent for too long."""

    def __init__(self, durable: Durable, stored: Stored, attempt: int, intake: Singles | Batches) -> None:
        self.stored = stored
        self.subject = stored.subject
        self.sequence = stored.sequence
        self.payload = stored.payload
        self.headers = stored.headers
        self.published_at: datetime | None = stored.published_at
        self.attempt = attempt
        self._durable = durable
        self._intake = intake
        self._answered = False
        self._lost = False
        self._watch()

    def ack(self) -> None:
        self._answer(done=True)

    def nak(self, delay: float) -> None:
        if self._answer(done=False):
            self._durable.give_again(self, delay)

    def terminate(self, reason: str) -> None:
        self._answer(done=True)

    def working(self) -> None:
        if not self._answered and not self._lost:
            self._timer.cancel()
            self._watch()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._durable.consumer.ack_wait, self._lose)

    def _lose(self) -> None:
        self._lost = True
        self._durable.release(self, done=False)
        self._durable.give_again(self, 0)

    def _answer(self, *, done: bool) -> bool:
        """Whether the answer counts: it is the first, and the message was not given to somebody else meanwhile."""
        if self._answered:
            return False
        self._answered = True
        self._timer.cancel()
        self._durable.release(self, done=done)
        asyncio.get_running_loop().call_soon(self._intake.hand.settled, self)
        return not self._lost
