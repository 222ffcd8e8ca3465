"""The bus on NATS JetStream: one connection, put together from the parts beside this file."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from libs.bus import dead, questions
from libs.bus.api import (
    Asked,
    BatchHandler,
    Bucket,
    Bus,
    Consumer,
    ConsumerState,
    DeadLetter,
    Delivery,
    Exhausted,
    Handler,
    Slots,
    Subscription,
)
from libs.bus.buckets import JetStreamBucket, check_bucket_name
from libs.bus.follow import Follower, start_at
from libs.bus.hand import Batches, Singles
from libs.bus.link import ApiError, Frame, Link
from libs.bus.publishing import Outgoing, store
from libs.bus.pull import Pull
from libs.bus.streams import bucket_stream, dead_stream, ensure_stream, fact_stream, nanoseconds
from libs.bus.tracing import trace_headers
from libs.bus.verdict import Verdict
from libs.bus.wire import fact_headers
from libs.events.envelope import Fact, Model, encode
from libs.events.subjects import STREAM
from libs.questions.envelope import Question

Reply = TypeVar("Reply", bound=Model)

FOR_EVER = "2200-01-01T00:00:00Z"
SUSPECTS = "suspects"
SUSPECT_FOR = timedelta(days=1)
OVERHEARD = 1000
MAX_WAITING = 2048
NUDGE = b'{"batch": 1, "max_bytes": 1, "expires": 10000000}'
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


@contextlib.asynccontextmanager
async def connect(
    url: str, *, name: str, grace: float = 20.0, replicas: int = 1, retention_days: float = 30.0
) -> AsyncIterator[Bus]:
    """A connected bus with its streams in place; waits for as long as NATS is away.

    ``url`` may name several servers, separated by commas. ``grace`` is what handlers get to finish in when their
    subscription is left; ``replicas`` and ``retention_days`` are how the streams are made.

    Raises:
        ApiError: the server refuses the streams, e.g. for want of space or of JetStream.
    """
    link = Link()
    try:
        await link.open(url, _UNFIT.sub("-", name))
        retention = timedelta(days=retention_days)
        await ensure_stream(link, fact_stream(replicas=replicas, retention=retention))
        await ensure_stream(link, dead_stream(replicas=replicas, retention=retention))
        yield JetStreamBus(link, grace=grace, replicas=replicas)
    finally:
        await link.leave()


class JetStreamBus:
    """See ``libs.bus.api.Bus``."""

    def __init__(self, link: Link, *, grace: float, replicas: int) -> None:
        self._link = link
        self._grace = grace
        self._replicas = replicas
        self._buckets: dict[str, JetStreamBucket] = {}
        self._morgue = dead.JetStreamMorgue(link, lambda: self.bucket(SUSPECTS, ttl=SUSPECT_FOR))

    async def publish(self, facts: Sequence[Fact]) -> int:
        trace = trace_headers()
        return await store(
            self._link, [Outgoing(fact.subject, encode(fact), fact_headers(fact, trace)) for fact in facts]
        )

    async def ensure_consumer(self, consumer: Consumer) -> None:
        config = {
            "durable_name": consumer.name,
            "filter_subjects": list(consumer.filters),
            "ack_policy": "explicit",
            "ack_wait": nanoseconds(consumer.ack_wait),
            "max_ack_pending": consumer.max_ack_pending,
            "max_deliver": -1,
            "max_waiting": MAX_WAITING,
        }
        await self._link.call(f"CONSUMER.CREATE.{STREAM}.{consumer.name}", {"stream_name": STREAM, "config": config})

    async def delete_consumer(self, name: str) -> None:
        with _no_error_when_gone():
            await self._link.call(f"CONSUMER.DELETE.{STREAM}.{name}")

    async def pause_consumer(self, name: str) -> None:
        with _no_error_when_gone():
            await self._link.call(f"CONSUMER.PAUSE.{STREAM}.{name}", {"pause_until": FOR_EVER})

    async def resume_consumer(self, name: str) -> None:
        with _no_error_when_gone():
            await self._link.call(f"CONSUMER.PAUSE.{STREAM}.{name}", {})
            # nats-server 2.15 looks at a resumed consumer only when a request or a heartbeat comes up, seconds later.
            # A request that no message is small enough for wakes it and takes nothing.
            self._link.send(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}", NUDGE, self._link.expect(_ignore))

    async def consumers(self, prefix: str = "") -> list[ConsumerState]:
        states: list[ConsumerState] = []
        offset, total = 0, 1
        while offset < total:
            page = await self._link.call(f"CONSUMER.LIST.{STREAM}", {"offset": offset})
            found = page.get("consumers") or []
            states += [_state(info) for info in found if _is_durable(info) and info["name"].startswith(prefix)]
            offset, total = offset + max(1, len(found)), page["total"]
        return sorted(states, key=lambda state: state.name)

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
        intake = Singles(consumer, Verdict(consumer, self._morgue, exhausted), handler, slots)
        async with self._running(consumer, intake) as subscription:
            yield subscription

    @contextlib.asynccontextmanager
    async def consume_batches(
        self, consumer: Consumer, handler: BatchHandler, *, most: int, linger: float = 0.005
    ) -> AsyncIterator[Subscription]:
        await self.ensure_consumer(consumer)
        intake = Batches(consumer, Verdict(consumer, self._morgue), handler, most=most, linger=linger)
        async with self._running(consumer, intake) as subscription:
            yield subscription

    @contextlib.asynccontextmanager
    async def _running(self, consumer: Consumer, intake: Singles | Batches) -> AsyncIterator[Subscription]:
        pull = Pull(self._link, STREAM, consumer.name, intake)
        redriven = await self._link.listen(
            dead.redrive_subject(consumer.name),
            lambda frame: intake.deliver(dead.redriven(self._link, frame, intake)),
            queue=consumer.name,
        )
        try:
            await pull.start()
            yield pull
        finally:
            try:
                await pull.stop()
                await self._link.unlisten(redriven)
            finally:
                await intake.close(self._grace)

    @contextlib.asynccontextmanager
    async def follow(
        self, pattern: str, *, since: datetime | int | None = None
    ) -> AsyncIterator[AsyncIterator[Delivery]]:
        start = start_at(await self.last_sequence() + 1 if since is None else since)
        async with Follower(self._link, pattern, start).open() as deliveries:
            yield deliveries

    async def ask(self, question: Question[Reply], *, timeout: float = 5.0) -> Reply:
        return await questions.ask(self._link, question, timeout)

    def answer(
        self, question: type[Asked], handler: Callable[[Asked], Awaitable[Model]]
    ) -> AbstractAsyncContextManager[None]:
        return questions.answering(self._link, question, handler, self._grace)

    async def shout(self, subject: str, payload: bytes) -> None:
        self._link.send(subject, payload)

    @contextlib.asynccontextmanager
    async def overhear(self, pattern: str) -> AsyncIterator[AsyncIterator[tuple[str, bytes]]]:
        heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(OVERHEARD)

        def hear(frame: Frame) -> None:
            if heard.full():
                heard.get_nowait()
            heard.put_nowait((frame.subject, frame.data))

        async def shouts() -> AsyncIterator[tuple[str, bytes]]:
            while True:
                yield await heard.get()

        subscription = await self._link.listen(pattern, hear)
        await self._link.settle()
        try:
            yield shouts()
        finally:
            await self._link.unlisten(subscription)

    async def bucket(self, name: str, *, ttl: timedelta | None = None) -> Bucket:
        check_bucket_name(name)
        if name not in self._buckets:
            await ensure_stream(self._link, bucket_stream(name, replicas=self._replicas, ttl=ttl))
            self._buckets[name] = JetStreamBucket(self._link, name)
        return self._buckets[name]

    async def last_sequence(self) -> int:
        return int((await self._link.call(f"STREAM.INFO.{STREAM}"))["state"]["last_seq"])

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return await dead.newest_letters(self._link, limit)

    async def redrive(self, sequence: int) -> None:
        await dead.redrive(self._link, sequence)


@contextlib.contextmanager
def _no_error_when_gone() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.code != 404:
            raise


def _ignore(frame: Frame) -> None:
    """An answer that is of no interest."""


def _is_durable(info: dict[str, Any]) -> bool:
    return "durable_name" in info["config"]


def _state(info: dict[str, Any]) -> ConsumerState:
    return ConsumerState(
        name=info["name"],
        ack_floor=info["ack_floor"]["stream_seq"],
        waiting=info["num_pending"],
        in_hand=info["num_ack_pending"],
        redelivered=info["num_redelivered"],
        paused=info.get("paused", False),
    )
