"""Following the stored facts in order on JetStream: an ephemeral consumer, made again wherever it broke off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import structlog

from libs.bus.api import Delivery
from libs.bus.link import ApiError, Frame, Link
from libs.bus.streams import nanoseconds
from libs.events.catalog import Unreadable, decode
from libs.events.subjects import STREAM

log = structlog.get_logger(__name__)

BATCH = 256
HEARTBEAT = 5.0
FORGOTTEN_AFTER = 60.0


class Follower:
    """Reads a pattern in order. ``_start`` is where to go on, ``_order`` what its consumer counts next."""

    def __init__(self, link: Link, pattern: str, start: dict[str, Any]) -> None:
        self._link = link
        self._pattern = pattern
        self._start = start
        self._consumer = ""
        self._order = 1
        self._asked = 0
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Delivery]]:
        self._inbox = self._link.new_inbox()
        subscription = await self._link.listen(f"{self._inbox}.*", self._frames.put_nowait)
        forget = self._link.on_return(lambda: self._frames.put_nowait(None))
        deliveries = self._deliveries()
        try:
            await self._begin()
            yield deliveries
        finally:
            await deliveries.aclose()
            forget()
            await self._link.unlisten(subscription)
            if self._link.up.is_set():
                self._link.send(f"$JS.API.CONSUMER.DELETE.{STREAM}.{self._consumer}")

    async def _begin(self) -> None:
        """A consumer of a new name, so that nothing meant for an older one is taken for its own."""
        self._consumer = f"follow-{uuid.uuid4().hex}"
        config = {
            "name": self._consumer,
            "ack_policy": "none",
            "filter_subject": self._pattern,
            "mem_storage": True,
            "num_replicas": 1,
            "max_deliver": 1,
            "inactive_threshold": nanoseconds(FORGOTTEN_AFTER),
            **self._start,
        }
        await self._link.call(
            f"CONSUMER.CREATE.{STREAM}.{self._consumer}.{self._pattern}", {"stream_name": STREAM, "config": config}
        )
        self._order, self._asked = 1, 0
        self._ask()

    def _ask(self) -> None:
        if self._asked > BATCH // 2:
            return
        more = BATCH - self._asked
        self._asked += more
        request = {"batch": more, "expires": nanoseconds(30), "idle_heartbeat": nanoseconds(HEARTBEAT)}
        self._link.send(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer}",
            json.dumps(request).encode(),
            f"{self._inbox}.{self._consumer}",
        )

    async def _deliveries(self) -> AsyncGenerator[Delivery, None]:
        while True:
            frame = await self._next_frame()
            if frame is None:
                await self._begin_again()
            elif frame.status:
                await self._hear_status(frame)
            elif (delivery := await self._in_order(frame)) is not None:
                yield delivery

    async def _next_frame(self) -> Frame | None:
        """None when the consumer has to be made again: after a reconnect, or when heartbeats are missing."""
        try:
            async with asyncio.timeout(2 * HEARTBEAT):
                return await self._frames.get()
        except TimeoutError:
            return None

    async def _hear_status(self, frame: Frame) -> None:
        if not frame.subject.endswith(self._consumer) or frame.status == 100:
            return
        if frame.status == 408:
            self._asked = max(0, self._asked - int(frame.headers.get("Nats-Pending-Messages", self._asked)))
            self._ask()
        else:
            await asyncio.sleep(0.1)
            await self._begin_again()

    async def _begin_again(self) -> None:
        try:
            await self._begin()
        except ApiError as error:
            log.warning("follow_waits", error=str(error))
            await asyncio.sleep(1)
            self._frames.put_nowait(None)

    async def _in_order(self, frame: Frame) -> Delivery | None:
        tokens = frame.reply.split(".")
        if tokens[-6] != self._consumer:
            return None
        sequence, order = int(tokens[-4]), int(tokens[-3])
        if order != self._order:
            await self._begin_again()
            return None
        self._order += 1
        self._start = start_at(sequence + 1)
        self._asked -= 1
        self._ask()
        return read_delivery(
            frame.subject, sequence, frame.headers, frame.data, datetime.fromtimestamp(int(tokens[-2]) / 1e9, UTC)
        )


def start_at(since: datetime | int) -> dict[str, Any]:
    """Where a consumer starts, in the words of the API."""
    if isinstance(since, datetime):
        moment = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"deliver_policy": "by_start_time", "opt_start_time": moment}
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, since)}


def read_delivery(
    subject: str, sequence: int, headers: dict[str, str], payload: bytes, published_at: datetime
) -> Delivery | None:
    """The stored fact, or None when this version cannot read it."""
    try:
        fact = decode(headers.get("ce-type"), payload)
    except Unreadable:
        log.debug("fact_passed_over", subject=subject, sequence=sequence)
        return None
    return Delivery(fact=fact, subject=subject, sequence=sequence, published_at=published_at, headers=headers)
