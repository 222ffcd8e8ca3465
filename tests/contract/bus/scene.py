"""What the bus's contract tests are told in: builders for facts and consumers, a recorder, and patience."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.bus.api import Bus, Consumer, Delivery
from libs.events.differ import FileQueued
from libs.events.subjects import file_key

PATIENCE = 30.0


def a_fact(number: int = 0, *, scan: str = "scan1", path: str = "src/file") -> FileQueued:
    """One file; the same number in the same scan is the same subject."""
    return FileQueued(
        repository_id="repo",
        scan_id=scan,
        key=file_key(f"{path}{number}".encode()),
        path=f"{path}{number}",
        content_hash="abc",
        size=number,
    )


def facts(count: int, *, scan: str = "scan1") -> list[FileQueued]:
    return [a_fact(number, scan=scan) for number in range(count)]


def a_consumer(name: str = "reader", *, scan: str = "scan1", **settings: Any) -> Consumer:
    # Longer than the patience: what arrives was handed back, not taken for lost.
    return Consumer(name=name, filters=(f"scan.*.{scan}.file.queued.*",), **{"ack_wait": 60.0, **settings})


def number_of(delivery: Delivery) -> int:
    assert isinstance(delivery.fact, FileQueued)
    return delivery.fact.size


class Seen:
    """A handler that notes what it is given; ``act`` decides what then happens."""

    def __init__(self, act: Callable[[Delivery], Awaitable[None]] | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self.running = 0
        self.most_at_once = 0
        self._act = act
        self._changed = asyncio.Condition()

    @property
    def numbers(self) -> list[int]:
        return [number_of(delivery) for delivery in self.deliveries]

    async def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        async with self._changed:
            self._changed.notify_all()
        try:
            if self._act is not None:
                await self._act(delivery)
        finally:
            self.running -= 1

    async def until(self, count: int) -> None:
        """Wait until so many deliveries have been begun."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= count)


class SeenBatches:
    """The same for batches."""

    def __init__(self, act: Callable[[Sequence[Delivery]], Awaitable[None]] | None = None) -> None:
        self.batches: list[list[int]] = []
        self._act = act
        self._changed = asyncio.Condition()

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch]

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self.batches.append([number_of(delivery) for delivery in deliveries])
        async with self._changed:
            self._changed.notify_all()
        if self._act is not None:
            await self._act(deliveries)

    async def until(self, count: int) -> None:
        """Wait until so many deliveries have been handed over, in however many batches."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.numbers) >= count)


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something comes true that nobody announces; fails when it does not."""
    async with asyncio.timeout(PATIENCE):
        while not await check():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def drained(bus: Bus, name: str = "reader") -> None:
    """Wait until the consumer has everything acknowledged."""

    async def nothing_left() -> bool:
        states = [state for state in await bus.consumers(name) if state.name == name]
        return bool(states) and states[0].waiting == 0 and states[0].in_hand == 0

    await eventually(nothing_left)
