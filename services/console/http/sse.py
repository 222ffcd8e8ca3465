"""Server-sent events: a stream that stays open, says so while nothing happens, and ends cleanly when nobody listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi.sse import EventSourceResponse, format_sse_event

STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
"""How such a response is described in OpenAPI."""
QUIET_SECONDS = 15.0
"""After so much silence a comment is sent, so that proxies and clients know the stream for alive."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """``data`` is JSON text; ``id`` is what a client sends back to go on after it."""

    name: str
    data: str
    id: str | None = None


def event_stream(events: AsyncGenerator[Event, None]) -> EventSourceResponse:
    """The response that sends these events until they end or the client leaves."""
    return EventSourceResponse(_lines(events), headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


async def _lines(events: AsyncGenerator[Event, None]) -> AsyncIterator[bytes]:
    following: asyncio.Task[Event] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait([following], timeout=QUIET_SECONDS)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield format_sse_event(data_str=event.data, event=event.name, id=event.id)
    finally:
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        await events.aclose()
