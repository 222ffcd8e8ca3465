"""Taking turns: one subscription a scan, as scans come and go, all sharing the slots of this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import structlog

from libs.bus.api import Bus, Consumer, Exhausted, Handler, Slots, Subscription
from libs.events.differ import ScanStarted
from libs.events.subjects import analyze_consumer, pattern
from libs.runtime.tasks import beside

log = structlog.get_logger(__name__)

CONSUMER_PREFIX = analyze_consumer("")
LOOK_AGAIN = 5.0
"""Seconds between looks at the list of consumers, for whatever the facts did not say."""


class Turns:
    """The subscriptions to the active scans. Nobody assigns scans: whoever is there joins each scan's consumer."""

    def __init__(self, bus: Bus, handler: Handler, exhausted: Exhausted, *, parallel: int) -> None:
        self._bus = bus
        self._handler = handler
        self._exhausted = exhausted
        self._parallel = parallel
        self._slots = Slots(parallel)
        self._open: dict[str, tuple[Subscription, AsyncExitStack]] = {}
        self._reconciling = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def joined(self) -> list[str]:
        """The consumers that are subscribed to."""
        return sorted(self._open)

    async def reconcile(self) -> None:
        """Join the consumers that are there, leave those that are gone."""
        async with self._reconciling:
            present = {state.name for state in await self._bus.consumers(CONSUMER_PREFIX)}
            for name in present - self._open.keys():
                await self._join(name)
            for name, (subscription, _) in list(self._open.items()):
                if subscription.gone or name not in present:
                    self._leave(name)

    async def _join(self, name: str) -> None:
        stack = AsyncExitStack()
        consumer = Consumer(name=name, filters=(), max_in_flight=self._parallel)
        subscription = await stack.enter_async_context(
            self._bus.consume(consumer, self._handler, exhausted=self._exhausted, slots=self._slots, create=False)
        )
        self._open[name] = (subscription, stack)
        log.info("scan_joined", consumer=name)

    def _leave(self, name: str) -> None:
        """Beside the rest: what is in hand may take its time, and new scans are to be joined meanwhile."""
        _, stack = self._open.pop(name)
        leaving = asyncio.create_task(stack.aclose(), name=f"leave-{name}")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        log.info("scan_left", consumer=name)

    async def leave_all(self) -> None:
        """Stop consuming; what is in hand is finished or handed back."""
        for name in list(self._open):
            self._leave(name)
        await asyncio.gather(*self._leaving)


@contextlib.asynccontextmanager
async def taking_turns(turns: Turns, bus: Bus) -> AsyncIterator[None]:
    """Keep the subscriptions in step with the scans while the context is open."""
    try:
        # Nothing may be joined any more once all are left.
        async with beside(joins=partial(_join_started, turns, bus), looks=partial(_look_again, turns)):
            yield
    finally:
        await turns.leave_all()


async def _join_started(turns: Turns, bus: Bus) -> None:
    async with bus.follow(pattern(ScanStarted.token)) as started:
        await turns.reconcile()
        async for _ in started:
            await turns.reconcile()


async def _look_again(turns: Turns) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        await turns.reconcile()
