"""Both buses, one after the other, for the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.bus.api import Bus
from libs.bus.jetstream import connect
from libs.bus.link import Link, header_block
from libs.bus.memory import MemoryBus
from libs.bus.publishing import Outgoing, store
from tests.servers.nats import running_nats

PutRaw = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """A bus on an empty stream; ``put_raw`` stores bytes as a stranger could."""

    bus: Bus
    put_raw: PutRaw


@pytest.fixture(params=["jetstream", "memory"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A server for each test: a stream that is deleted and made again under load may come back with its messages."""
    if request.param == "memory":
        memory = MemoryBus(grace=0.2)

        async def put_into_memory(subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
            memory.store(subject, payload, headers)

        yield Place(memory, put_into_memory)
        return

    with running_nats(tmp_path) as server:
        stranger = Link()
        await stranger.open(server.url, "stranger")

        async def put_into_stream(subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
            await store(stranger, [Outgoing(subject, payload, header_block(dict(headers)))])

        try:
            async with connect(server.url, name="contract", grace=0.2) as bus:
                yield Place(bus, put_into_stream)
        finally:
            await stranger.leave()


@pytest.fixture
def bus(place: Place) -> Bus:
    return place.bus
