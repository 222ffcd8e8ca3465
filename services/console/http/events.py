"""The facts themselves, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse

from libs.bus.api import Bus
from libs.events.envelope import encode
from libs.events.subjects import ALL_FACTS
from services.console.http.bus import OnBus
from services.console.http.sse import STREAMED, Event, Stopping, event_stream

router = APIRouter(tags=["events"])


@router.get("/events", response_model=None, responses=STREAMED)
async def follow_events(
    bus: OnBus,
    stopping: Stopping,
    since: Annotated[datetime | int | None, Query(description="A time or a sequence; none: from now on.")] = None,
    scan_id: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,80}$")] = None,
    last_event_id: Annotated[int | None, Header()] = None,
) -> EventSourceResponse:
    """Every fact: ``event`` is its type, ``id`` its sequence in the stream, ``data`` the fact."""
    start = last_event_id + 1 if last_event_id is not None else since
    return event_stream(_facts(bus, f"scan.*.{scan_id}.>" if scan_id else ALL_FACTS, start), stopping)


async def _facts(bus: Bus, subject: str, since: datetime | int | None) -> AsyncGenerator[Event, None]:
    async with bus.follow(subject, since=since) as deliveries:
        async for delivery in deliveries:
            data = encode(delivery.fact).decode()
            yield Event(name=delivery.fact.type_name, data=data, id=str(delivery.sequence))
