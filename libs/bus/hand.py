"""What one subscription has in hand: messages that wait, that are at work, and that were answered but not confirmed.

Handlers run as tasks within two bounds, the subscription's own and the slots it shares; heartbeats for all of its
messages come from one timer; on leaving, what is not finished within the grace time is handed back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from libs.bus.api import BatchHandler, Consumer, Delivery, Handler, Slots
from libs.bus.verdict import Held, Verdict

CONFIRM_SECONDS = 2.0
LONGEST_BEAT = 5.0


class Hand:
    """Messages from delivery to confirmation. ``on_room`` is called when there is room for more."""

    def __init__(self, consumer: Consumer, on_room: Callable[[], None]) -> None:
        self._held: set[Held] = set()
        self._on_room = on_room
        self._empty = asyncio.Event()
        self._beat_seconds = min(consumer.ack_wait / 3, LONGEST_BEAT)
        self._timer = asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)

    def __len__(self) -> int:
        return len(self._held)

    def take(self, held: Held) -> None:
        self._held.add(held)
        self._empty.clear()

    def settled(self, held: Held) -> None:
        """The message's answer has arrived, or it can never arrive."""
        self._held.discard(held)
        if not self._held:
            self._empty.set()
        self._on_room()

    async def close(self) -> None:
        """Wait a moment for the last confirmations; those that do not come mean a delivery again."""
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                if self._held:
                    await self._empty.wait()
        except TimeoutError:
            pass
        finally:
            self._timer.cancel()

    def _beat(self) -> None:
        for held in list(self._held):
            held.working()
        self._timer = asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)


class Singles:
    """Runs a handler for each message, several at once."""

    def __init__(self, consumer: Consumer, verdict: Verdict, handler: Handler, slots: Slots | None) -> None:
        self._limit = consumer.max_in_flight
        self._verdict = verdict
        self._handler = handler
        self._waiting: deque[Held] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seat = (slots or Slots(self._limit)).join(self._wake)
        self._closing = False
        self._context = copy_context()
        self.hand = Hand(consumer, self._room_changed)
        self.on_room: Callable[[], None] = _nothing

    def room(self) -> int:
        """How many more messages may be asked for, those already asked for included."""
        return min(self._limit, self._seat.allowance()) - len(self.hand)

    def deliver(self, held: Held) -> None:
        self.hand.take(held)
        self._seat.hold(len(self.hand))
        if self._closing:
            held.nak(0)
            return
        self._waiting.append(held)
        self._start()

    async def close(self, grace: float) -> None:
        """Hand back what waits, give the handlers ``grace`` seconds, then hand back the rest."""
        self._closing = True
        while self._waiting:
            self._waiting.popleft().nak(0)
        try:
            await finish(self._tasks, grace)
            await self.hand.close()
        finally:
            self._seat.leave()

    def _start(self) -> None:
        while self._waiting and len(self._tasks) < self._limit and self._seat.take():
            verdict = self._verdict.one(self._waiting.popleft(), self._handler)
            task = asyncio.create_task(verdict, context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._seat.give_back()
        self._start()

    def _room_changed(self) -> None:
        self._seat.hold(len(self.hand))
        self.on_room()

    def _wake(self) -> None:
        self._start()
        self.on_room()


class Batches:
    """Runs a handler for many messages at once, one batch at a time, while the next is gathered."""

    def __init__(
        self, consumer: Consumer, verdict: Verdict, handler: BatchHandler, *, most: int, linger: float
    ) -> None:
        self._limit = consumer.max_in_flight
        self._most = most
        self._linger = linger
        self._verdict = verdict
        self._handler = handler
        self._waiting: deque[Held] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self.hand = Hand(consumer, self._room_changed)
        self.on_room: Callable[[], None] = _nothing
        self._task = asyncio.create_task(self._work())

    def room(self) -> int:
        """How many more messages may be asked for, those already asked for included."""
        return self._limit - len(self.hand)

    def deliver(self, held: Held) -> None:
        self.hand.take(held)
        if self._closing:
            held.nak(0)
            return
        self._waiting.append(held)
        self._arrived.set()

    async def close(self, grace: float) -> None:
        """Hand back what waits, give the batch at work ``grace`` seconds, then hand it back too."""
        self._closing = True
        self._arrived.set()
        while self._waiting:
            self._waiting.popleft().nak(0)
        await finish({self._task}, grace)
        await self.hand.close()

    async def _work(self) -> None:
        while not self._closing:
            await self._gather()
            while self._waiting and self._verdict.wants_to_be_alone(self._waiting[0]):
                await asyncio.create_task(self._verdict.one(self._waiting.popleft(), self._alone))
            batch = self._take_batch()
            if batch:
                await asyncio.create_task(self._verdict.many(batch, self._handler))

    async def _gather(self) -> None:
        """Wait for the first message, then a little for more unless there is a batch already."""
        await self._wait_for(1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                await self._wait_for(min(self._most, self._limit))

    async def _wait_for(self, count: int) -> None:
        while len(self._waiting) < count and not self._closing:
            self._arrived.clear()
            await self._arrived.wait()

    def _take_batch(self) -> list[Held]:
        batch: list[Held] = []
        while self._waiting and len(batch) < self._most and not self._verdict.wants_to_be_alone(self._waiting[0]):
            batch.append(self._waiting.popleft())
        return batch

    async def _alone(self, delivery: Delivery) -> None:
        await self._handler([delivery])

    def _room_changed(self) -> None:
        self.on_room()


async def finish(tasks: set[asyncio.Task[None]], grace: float) -> None:
    """Wait ``grace`` seconds for the tasks, then cancel them and wait until they have ended."""
    pending = set(tasks)
    try:
        if pending:
            await asyncio.wait(pending, timeout=grace)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _nothing() -> None:
    pass
