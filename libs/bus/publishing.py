"""Publishing to streams: pipelined, confirmed one by one, sent again for as long as the server is away."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import structlog

from libs.bus.link import Frame, Link

log = structlog.get_logger(__name__)

WINDOW = 2000
WINDOW_BYTES = 8 * 1024 * 1024
PATIENCE = 5.0
"""Seconds without any confirmation after which everything unconfirmed is sent again."""
HELD_ALREADY = frozenset((10077, 10071))
"""The subject holds a message already: by its limit of one, or because a last sequence of 0 was expected."""
_CHUNK = 100


class Outgoing(NamedTuple):
    """One message to store. ``headers`` is a header block."""

    subject: str
    payload: bytes
    headers: bytes = b""


async def store(link: Link, messages: Iterable[Outgoing]) -> int:
    """Returns when every message is stored: how many of them were new to their subjects."""
    return await _Flight(link, messages).fly()


class _Flight:
    """The messages of one call: still to send, and sent but not confirmed."""

    def __init__(self, link: Link, messages: Iterable[Outgoing]) -> None:
        self._link = link
        self._waiting = deque(messages)
        self._sent: dict[str, Outgoing] = {}
        self._bytes = 0
        self._new = 0
        self._moved: asyncio.Future[bool] | None = None
        self._setback = ""
        self._said = False

    async def fly(self) -> int:
        try:
            while self._waiting or self._sent:
                await self._link.up.wait()
                await self._send()
                await self._hear()
        finally:
            for reply in self._sent:
                self._link.forget(reply)
        return self._new

    async def _send(self) -> None:
        sent = 0
        while self._waiting and len(self._sent) < WINDOW and self._bytes < WINDOW_BYTES:
            message = self._waiting.popleft()
            reply = self._link.expect(self._confirm)
            self._sent[reply] = message
            self._bytes += len(message.payload)
            self._link.send(message.subject, message.payload, reply, message.headers)
            sent += 1
            if sent % _CHUNK == 0:
                await asyncio.sleep(0)

    async def _hear(self) -> None:
        if self._sent:
            loop = asyncio.get_running_loop()
            self._moved = loop.create_future()
            impatience = loop.call_later(PATIENCE, self._move, False)
            try:
                if not await self._moved:
                    self._give_back_unconfirmed()
            finally:
                impatience.cancel()
        if self._setback:
            self._say(self._setback)
            self._setback = ""
            await asyncio.sleep(0.1)

    def _confirm(self, frame: Frame) -> None:
        message = self._sent.pop(frame.subject, None)
        if message is None:
            return
        self._bytes -= len(message.payload)
        problem = _problem(frame)
        if problem is None:
            self._new += 1
        elif problem:
            self._waiting.append(message)
            self._setback = problem
        if not self._sent or (self._waiting and len(self._sent) <= WINDOW // 2):
            self._move(True)

    def _move(self, confirmed: bool) -> None:
        """End the wait: there is something to send or nothing to wait for, or it has been too long."""
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(confirmed)

    def _give_back_unconfirmed(self) -> None:
        self._setback = "no confirmation"
        for reply, message in self._sent.items():
            self._link.forget(reply)
            self._waiting.append(message)
        self._sent.clear()
        self._bytes = 0

    def _say(self, problem: str) -> None:
        if not self._said:
            self._said = True
            log.warning("publish_waits", problem=problem, messages=len(self._waiting) + len(self._sent))


def _problem(frame: Frame) -> str | None:
    """What keeps a message from being stored: None is stored now, the empty string is that it was there before."""
    if frame.status:
        return frame.description or str(frame.status)
    if b'"error"' not in frame.data:
        return None
    error = json.loads(frame.data)["error"]
    return "" if error.get("err_code") in HELD_ALREADY else str(error.get("description"))
