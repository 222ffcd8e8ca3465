"""The bus in one process, for tests: it keeps the promises of ``libs.bus.api`` and passes the same contract suite."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from libs.bus.api import (
    Asked,
    BatchHandler,
    Bucket,
    Consumer,
    ConsumerState,
    DeadLetter,
    Delivery,
    Exhausted,
    Handler,
    NoAnswer,
    Refused,
    Slots,
    Subscription,
)
from libs.bus.buckets import check_bucket_name, check_key
from libs.bus.durable import Durable, Stored, matches
from libs.bus.follow import read_delivery
from libs.bus.hand import Batches, Singles
from libs.bus.questions import decode_reply, encode_model, reply_to
from libs.bus.redriven import Redriven
from libs.bus.tracing import trace_headers
from libs.bus.verdict import Held, Verdict
from libs.events.envelope import Fact, Model, cloud_event_headers, encode
from libs.questions.envelope import Question

Reply = TypeVar("Reply", bound=Model)
Answerer = Callable[[bytes], Coroutine[Any, Any, Model | Refused]]

OVERHEARD = 1000
REDRIVE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class _Dead:
    letter: DeadLetter
    stream_sequence: int
    headers: Mapping[str, str]


class MemoryBucket:
    """A dictionary whose values can grow too old."""

    def __init__(self, ttl: timedelta | None) -> None:
        self._ttl = ttl.total_seconds() if ttl else float("inf")
        self._values: dict[str, tuple[bytes, float]] = {}

    async def get(self, key: str) -> bytes | None:
        check_key(key)
        value, born = self._values.get(key, (None, 0.0))
        return value if time.monotonic() - born < self._ttl else None

    async def put(self, key: str, value: bytes) -> None:
        check_key(key)
        self._values[key] = (value, time.monotonic())

    async def add(self, key: str, value: bytes) -> bool:
        there = await self.get(key)
        if there is None:
            await self.put(key, value)
        return there in (None, value)

    async def remove(self, key: str) -> None:
        check_key(key)
        self._values.pop(key, None)

    async def put_all(self, values: Mapping[str, bytes]) -> None:
        for key, value in values.items():
            await self.put(key, value)

    async def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        values = [(key, await self.get(key)) for key in keys]
        return {key: value for key, value in values if value is not None}


class MemorySubscription:
    """A running consumer of this bus."""

    def __init__(self, durable: Durable | None, intake: Singles | Batches) -> None:
        self._durable = durable
        self._intake = intake

    @property
    def in_hand(self) -> int:
        return len(self._intake.hand)

    @property
    def gone(self) -> bool:
        return self._durable is None or self._durable.deleted


class MemoryBus:
    """See ``libs.bus.api.Bus``. Made and used within one event loop.

    ``shuffle`` delivers out of order, by that randomness, and ``duplicate`` (a fraction) of the messages again.
    ``idle`` waits until everything that has a subscriber is handled; ``facts`` is what was published.
    """

    def __init__(self, *, grace: float = 1.0, shuffle: Random | None = None, duplicate: float = 0.0) -> None:
        self._grace = grace
        self._chance = shuffle if shuffle is not None else (Random(0) if duplicate else None)
        self._duplicate = duplicate
        self._stored: list[Stored] = []
        self._subjects: set[str] = set()
        self._durables: dict[str, Durable] = {}
        self._intakes: dict[str, list[Singles | Batches]] = {}
        self._dead: list[_Dead] = []
        self._deaths = 0
        self._begun: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, MemoryBucket] = {}
        self._answerers: dict[str, list[Answerer]] = {}
        self._ears: dict[asyncio.Queue[tuple[str, bytes]], str] = {}
        self._followers: set[asyncio.Event] = set()

    @property
    def facts(self) -> list[Fact]:
        """Everything that was published and can be read, in order."""
        read = [read_delivery(s.subject, s.sequence, dict(s.headers), s.payload, s.published_at) for s in self._stored]
        return [delivery.fact for delivery in read if delivery is not None]

    async def idle(self) -> None:
        """Wait until every durable consumer that somebody subscribes to has nothing left, delays included."""
        while not self._idle_now():  # noqa: ASYNC110 - a state of many timers, not one event
            await asyncio.sleep(0.001)

    def _idle_now(self) -> bool:
        return all(durable.idle or durable.paused for durable in self._durables.values() if durable.intakes)

    def store(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> bool:
        """Put raw bytes into the stream; False when the subject holds a message already."""
        if subject in self._subjects:
            return False
        self._subjects.add(subject)
        stored = Stored(
            sequence=len(self._stored) + 1,
            subject=subject,
            payload=payload,
            headers=headers,
            published_at=datetime.now(UTC),
        )
        self._stored.append(stored)
        for durable in self._durables.values():
            if durable.hears(subject):
                durable.add(stored)
        for follower in self._followers:
            follower.set()
        return True

    async def publish(self, facts: Sequence[Fact]) -> int:
        trace = trace_headers()
        encoded = [(fact.subject, encode(fact), {**cloud_event_headers(fact), **trace}) for fact in facts]
        await asyncio.sleep(0)
        return sum(self.store(*message) for message in encoded)

    async def ensure_consumer(self, consumer: Consumer) -> None:
        durable = self._durables.get(consumer.name)
        if durable is not None:
            durable.consumer = consumer
            return
        durable = self._durables[consumer.name] = Durable(consumer, self._chance, self._duplicate)
        for stored in self._stored:
            if durable.hears(stored.subject):
                durable.add(stored)

    async def delete_consumer(self, name: str) -> None:
        durable = self._durables.pop(name, None)
        if durable is not None:
            durable.deleted = True
            durable.intakes.clear()

    async def pause_consumer(self, name: str) -> None:
        if name in self._durables:
            self._durables[name].paused = True

    async def resume_consumer(self, name: str) -> None:
        if name in self._durables:
            self._durables[name].paused = False
            self._durables[name].plan()

    async def consumers(self, prefix: str = "") -> list[ConsumerState]:
        return [self._durables[name].state() for name in sorted(self._durables) if name.startswith(prefix)]

    @contextlib.asynccontextmanager
    async def consume(
        self,
        consumer: Consumer,
        handler: Handler,
        *,
        exhausted: Exhausted | None = None,
        slots: Slots | None = None,
        create: bool = True,
    ) -> AsyncIterator[Subscription]:
        if create:
            await self.ensure_consumer(consumer)
        intake = Singles(consumer, Verdict(consumer, self, exhausted), handler, slots)
        async with self._running(consumer, intake) as subscription:
            yield subscription

    @contextlib.asynccontextmanager
    async def consume_batches(
        self, consumer: Consumer, handler: BatchHandler, *, most: int, linger: float = 0.005
    ) -> AsyncIterator[Subscription]:
        await self.ensure_consumer(consumer)
        intake = Batches(consumer, Verdict(consumer, self), handler, most=most, linger=linger)
        async with self._running(consumer, intake) as subscription:
            yield subscription

    @contextlib.asynccontextmanager
    async def _running(self, consumer: Consumer, intake: Singles | Batches) -> AsyncIterator[Subscription]:
        durable = self._durables.get(consumer.name)
        others = self._intakes.setdefault(consumer.name, [])
        others.append(intake)
        if durable is not None:
            intake.on_room = durable.plan
            durable.intakes.append(intake)
            durable.plan()
        try:
            yield MemorySubscription(durable, intake)
        finally:
            others.remove(intake)
            if durable is not None and intake in durable.intakes:
                durable.intakes.remove(intake)
            await intake.close(self._grace)

    @contextlib.asynccontextmanager
    async def follow(
        self, pattern: str, *, since: datetime | int | None = None
    ) -> AsyncIterator[AsyncIterator[Delivery]]:
        arrived = asyncio.Event()
        self._followers.add(arrived)
        deliveries = self._follow(pattern, len(self._stored) + 1 if since is None else since, arrived)
        try:
            yield deliveries
        finally:
            self._followers.discard(arrived)

    async def _follow(self, pattern: str, since: datetime | int, arrived: asyncio.Event) -> AsyncIterator[Delivery]:
        place = 0
        while True:
            arrived.clear()
            while place < len(self._stored):
                stored = self._stored[place]
                place += 1
                late_enough = stored.sequence >= since if isinstance(since, int) else stored.published_at >= since
                if not late_enough or not matches(pattern, stored.subject):
                    continue
                delivery = read_delivery(
                    stored.subject, stored.sequence, dict(stored.headers), stored.payload, stored.published_at
                )
                if delivery is not None:
                    yield delivery
            await arrived.wait()

    async def ask(self, question: Question[Reply], *, timeout: float = 5.0) -> Reply:
        subject = question.subject()
        answerers = self._answerers.get(subject)
        if not answerers:
            raise NoAnswer(f"nobody answers {subject} just now")
        answerers.append(answerers.pop(0))
        try:
            async with asyncio.timeout(timeout):
                reply = await asyncio.create_task(answerers[-1](encode_model(question)))
        except TimeoutError:
            raise NoAnswer(f"{subject} was not answered within {timeout:g} seconds") from None
        if isinstance(reply, Refused):
            raise reply
        return decode_reply(question, encode_model(reply))

    @contextlib.asynccontextmanager
    async def answer(self, question: type[Asked], handler: Callable[[Asked], Awaitable[Model]]) -> AsyncIterator[None]:
        async def answerer(payload: bytes) -> Model | Refused:
            return await reply_to(question, payload, handler)

        self._answerers.setdefault(question.subject(), []).append(answerer)
        try:
            yield
        finally:
            self._answerers[question.subject()].remove(answerer)

    async def shout(self, subject: str, payload: bytes) -> None:
        for heard, pattern in self._ears.items():
            if matches(pattern, subject):
                if heard.full():
                    heard.get_nowait()
                heard.put_nowait((subject, payload))

    @contextlib.asynccontextmanager
    async def overhear(self, pattern: str) -> AsyncIterator[AsyncIterator[tuple[str, bytes]]]:
        heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(OVERHEARD)

        async def shouts() -> AsyncIterator[tuple[str, bytes]]:
            while True:
                yield await heard.get()

        self._ears[heard] = pattern
        try:
            yield shouts()
        finally:
            del self._ears[heard]

    async def bucket(self, name: str, *, ttl: timedelta | None = None) -> Bucket:
        check_bucket_name(name)
        return self._buckets.setdefault(name, MemoryBucket(ttl))

    async def last_sequence(self) -> int:
        return len(self._stored)

    async def bury(self, held: Held, *, consumer: str, reason: str, attempts: int, error: str) -> None:
        """See ``libs.bus.verdict.Morgue``."""
        self._deaths += 1
        self._dead = [
            dead for dead in self._dead if (dead.letter.consumer, dead.stream_sequence) != (consumer, held.sequence)
        ]
        letter = DeadLetter(
            sequence=self._deaths,
            subject=held.subject,
            consumer=consumer,
            reason=reason,
            attempts=attempts,
            payload=held.payload,
            died_at=datetime.now(UTC),
        )
        self._dead.append(_Dead(letter=letter, stream_sequence=held.sequence, headers=held.headers))

    async def begun(self, consumer: str, sequence: int) -> int:
        """See ``libs.bus.verdict.Morgue``."""
        before = self._begun.get((consumer, sequence), 0)
        self._begun[consumer, sequence] = before + 1
        return before

    async def ended(self, consumer: str, sequence: int) -> None:
        """See ``libs.bus.verdict.Morgue``."""
        self._begun.pop((consumer, sequence), None)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return [dead.letter for dead in reversed(self._dead)][:limit]

    async def redrive(self, sequence: int) -> None:
        dead = next((dead for dead in self._dead if dead.letter.sequence == sequence), None)
        if dead is None:
            raise KeyError(sequence)
        intakes = self._intakes.get(dead.letter.consumer)
        if not intakes:
            raise NoAnswer(f"nobody consumes as {dead.letter.consumer} just now")
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        intakes[0].deliver(self._redriven(dead, intakes[0], outcome))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(outcome, REDRIVE_SECONDS)

    def _redriven(self, dead: _Dead, intake: Singles | Batches, outcome: asyncio.Future[str]) -> Redriven:
        async def remove() -> None:
            if dead in self._dead:
                self._dead.remove(dead)

        def tell(word: str) -> None:
            if not outcome.done():
                outcome.set_result(word)

        return Redriven(
            intake,
            subject=dead.letter.subject,
            sequence=dead.stream_sequence,
            headers=dead.headers,
            payload=dead.letter.payload,
            remove=remove,
            tell=tell,
        )
