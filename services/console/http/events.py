"""The facts themselves, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from libs.events.envelope import encode
from libs.events.subjects import ALL_FACTS
from services.console.http.bus import OnBus

router = APIRouter(tags=["events"])


@router.get("/events", response_class=EventSourceResponse)
async def follow_events(
    bus: OnBus,
    since: Annotated[datetime | int | None, Query(description="A time or a sequence; none: from now on.")] = None,
    scan_id: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,80}$")] = None,
    last_event_id: Annotated[int | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Every fact: ``event`` is its type, ``id`` its sequence in the stream, ``data`` the fact."""
    start = last_event_id + 1 if last_event_id is not None else since
    subject = f"scan.*.{scan_id}.>" if scan_id else ALL_FACTS
    async with bus.follow(subject, since=start) as deliveries:
        async for delivery in deliveries:
            yield ServerSentEvent(
                raw_data=encode(delivery.fact).decode(), event=delivery.fact.type_name, id=str(delivery.sequence)
            )
