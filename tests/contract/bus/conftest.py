"""Both buses, one after the other, for the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest

from libs.bus.api import Bus
from libs.bus.jetstream import connect
from libs.bus.link import Link, header_block
from libs.bus.memory import MemoryBus
from libs.bus.publishing import Outgoing, store

PutRaw = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """A bus on an empty stream; ``put_raw`` stores bytes as a stranger could."""

    bus: Bus
    put_raw: PutRaw


async def _clear(link: Link) -> None:
    for name in (await link.call("STREAM.NAMES"))["streams"] or []:
        await link.call(f"STREAM.DELETE.{name}")


@pytest.fixture(params=["jetstream", "memory"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "memory":
        memory = MemoryBus(grace=0.2)

        async def put_into_memory(subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
            memory.store(subject, payload, headers)

        yield Place(memory, put_into_memory)
        return

    url: str = request.getfixturevalue("nats_url")
    stranger = Link()
    await stranger.open(url, "stranger")

    async def put_into_stream(subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        await store(stranger, [Outgoing(subject, payload, header_block(dict(headers)))])

    try:
        await _clear(stranger)
        async with connect(url, name="contract", grace=0.2) as bus:
            yield Place(bus, put_into_stream)
        await _clear(stranger)
    finally:
        await stranger.leave()


@pytest.fixture
def bus(place: Place) -> Bus:
    return place.bus
