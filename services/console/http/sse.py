"""Server-sent events: a stream that stays open, says so while nothing happens, and ends cleanly when nobody listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request
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


def stopping_of(request: Request) -> asyncio.Event:
    return cast("asyncio.Event", request.app.state.stopping)


Stopping = Annotated[asyncio.Event, Depends(stopping_of)]
"""Set when the server stops: a stream that is still open ends then, it would hold the server up."""


def event_stream(events: AsyncGenerator[Event, None], stopping: asyncio.Event) -> EventSourceResponse:
    """The response that sends these events until they end, the client leaves or the server stops."""
    lines = _lines(events, stopping)
    return EventSourceResponse(lines, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


async def _lines(events: AsyncGenerator[Event, None], stopping: asyncio.Event) -> AsyncIterator[bytes]:
    following: asyncio.Task[Event] | None = None
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        while True:
            following = following or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait(
                [following, stopped], timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if stopped in done:
                return
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
        stopped.cancel()
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        await events.aclose()
