"""The connection to NATS: it never gives up, sends without waiting, and hands what arrives straight to a callback.

Nothing is sent, and nothing kept for later, while the server is away: whoever waits for an answer is told ``503`` when
it is back, the same status that a server without a responder gives, and sends again. This file is the only one
that touches the insides of nats-py: its queue and task for each message would cost more than everything else here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

log = structlog.get_logger(__name__)

NO_RESPONDERS = 503
_STATUS_LINE = b"NATS/1.0 "


class Frame:
    """One message off the wire. Headers are parsed when somebody asks for them."""

    __slots__ = ("_headers", "_raw", "data", "reply", "subject")

    def __init__(self, subject: str, reply: str, data: bytes, raw: bytes | None) -> None:
        self.subject = subject
        self.reply = reply
        self.data = data
        self._raw = raw
        self._headers: dict[str, str] | None = None

    @property
    def status(self) -> int:
        """The status a server sent instead of a message; 0 for a message."""
        return int(self._raw[9:12]) if self._raw and self._raw.startswith(_STATUS_LINE) else 0

    @property
    def description(self) -> str:
        return self._raw.split(b"\r\n", 1)[0][13:].decode() if self._raw and self.status else ""

    @property
    def is_loss(self) -> bool:
        """No server said this: the connection was lost before there was an answer."""
        return self._raw == _LOST

    @property
    def headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = _parse(self._raw) if self._raw else {}
        return self._headers


_HEADER = re.compile(r"([^:\r\n]+):[ \t]*([^\r\n]*?)[ \t]*\r\n")


def _parse(raw: bytes) -> dict[str, str]:
    text = raw.decode("utf-8", "replace")
    return dict(_HEADER.findall(text, text.index("\r\n") + 2))


Listener = Callable[[Frame], Any]
_LOST = b"NATS/1.0 503 Connection Lost\r\n\r\n"


def header_block(headers: dict[str, str]) -> bytes:
    """Headers as they go over the wire. Values must not hold line ends; ours are percent-encoded or our own."""
    return f"NATS/1.0\r\n{''.join([f'{name}: {value}{_END}' for name, value in headers.items()])}\r\n".encode()


_END = "\r\n"


def _settle(answer: asyncio.Future[Frame], frame: Frame) -> None:
    if not answer.done():
        answer.set_result(frame)


def _expire(answer: asyncio.Future[Frame]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


class ApiError(Exception):
    """JetStream refused a request of its API."""

    def __init__(self, subject: str, error: dict[str, Any]) -> None:
        super().__init__(f"{subject}: {error.get('description')} ({error.get('code')}, {error.get('err_code')})")
        self.code = int(error.get("code", 0))
        self.number = int(error.get("err_code", 0))


class Link(Client):
    """One connection. ``up`` is set while the server can be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.up = asyncio.Event()
        self._listeners: dict[int, Listener] = {}
        self._expected: dict[str, Listener] = {}
        self._returned: set[Callable[[], None]] = set()
        self._tokens = 0
        self._replies = ""
        self._said = False
        self._leaving = False

    async def open(self, url: str, name: str) -> None:
        """Connect; waits for as long as the server is away."""
        await self.connect(
            servers=url.split(","),
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]
            connect_timeout=5,
            ping_interval=15,
            inbox_prefix=f"_INBOX_{name}",
            error_cb=self._note_error,
            disconnected_cb=self._note_lost,
            reconnected_cb=self._note_back,
        )
        self._replies = self.new_inbox()
        await self.listen(f"{self._replies}.*", self._take_reply)
        if self._said:
            log.info("bus_back")
        self._said = False
        self.up.set()

    async def leave(self) -> None:
        """Close for good; what was sent is written first."""
        self._leaving = True
        if self.up.is_set():
            await self.settle()
        await self.close()

    def on_return(self, action: Callable[[], None]) -> Callable[[], None]:
        """Call ``action`` whenever the server is back; returns what ends that."""
        self._returned.add(action)
        return lambda: self._returned.discard(action)

    async def listen(self, subject: str, listener: Listener, queue: str = "") -> Subscription:
        """Call the listener for each message, in order, at once; it must not block."""
        subscription = await self.subscribe(subject, queue=queue)
        self._listeners[subscription._id] = listener
        return subscription

    async def unlisten(self, subscription: Subscription) -> None:
        """Stop listening. Messages that the server had sent before it heard of this still reach the listener."""
        if self.is_connected and not self.is_closed:
            await self._send_unsubscribe(subscription._id)
            await self.settle()
        self._listeners.pop(subscription._id, None)
        self._remove_sub(subscription._id)

    def send(self, subject: str, payload: bytes = b"", reply: str = "", headers: bytes = b"") -> None:
        """Send now, or not at all when the server is away. ``headers`` come from ``header_block``."""
        if not self.up.is_set():
            return
        if headers:
            size = len(headers)
            start = f"HPUB {subject} {reply} {size} {size + len(payload)}\r\n".encode()
            self._post(b"".join((start, headers, payload, b"\r\n")))
        else:
            self._post(b"".join((f"PUB {subject} {reply} {len(payload)}\r\n".encode(), payload, b"\r\n")))

    def expect(self, listener: Listener) -> str:
        """A reply subject whose frames go to the listener, for as long as it returns something true."""
        self._tokens += 1
        token = str(self._tokens)
        self._expected[token] = listener
        return f"{self._replies}.{token}"

    def forget(self, reply: str) -> None:
        """Expect no frames for this reply subject any more."""
        self._expected.pop(reply.rpartition(".")[2], None)

    async def ask_once(
        self, subject: str, payload: bytes = b"", *, headers: bytes = b"", timeout: float = 5.0
    ) -> Frame:
        """One answer; its status is 503 when nobody is there to give it, or the connection was lost meanwhile.

        Raises:
            TimeoutError: there was none in time, or the server is away.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        if not self.up.is_set():
            async with asyncio.timeout_at(deadline):
                await self.up.wait()
        answer: asyncio.Future[Frame] = loop.create_future()
        # A timer of our own: asyncio.timeout costs as much as everything else here.
        expiry = loop.call_at(deadline, _expire, answer)
        reply = self.expect(partial(_settle, answer))
        try:
            self.send(subject, payload, reply, headers)
            return await answer
        finally:
            expiry.cancel()
            self.forget(reply)

    async def insist(self, subject: str, payload: bytes = b"") -> Frame:
        """One answer, asked for until a server gives it."""
        delay, said = 0.05, False
        while True:
            await self.up.wait()
            try:
                frame = await self.ask_once(subject, payload)
            except TimeoutError:
                problem = "no answer"
            else:
                if frame.status != NO_RESPONDERS:
                    return frame
                problem = "no responder"
            if not said and delay > 0.5:
                said = True
                log.warning("bus_request_waits", subject=subject, problem=problem)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)

    async def call(self, method: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call JetStream's API; waits while it is away or electing.

        Raises:
            ApiError: the server refused.
        """
        subject = f"$JS.API.{method}"
        payload = json.dumps(arguments).encode() if arguments is not None else b""
        while True:
            answer: dict[str, Any] = json.loads((await self.insist(subject, payload)).data)
            if "error" not in answer:
                return answer
            if answer["error"].get("code") != NO_RESPONDERS:
                raise ApiError(subject, answer["error"])
            await asyncio.sleep(0.25)

    def _post(self, command: bytes) -> None:
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    async def settle(self) -> None:
        """A round trip: the server has seen everything that was sent before. Not waited for while it is away."""
        try:
            await self.flush(timeout=2)
        except (errors.Error, TimeoutError, OSError):
            log.debug("bus_flush_failed")

    def _take_reply(self, frame: Frame) -> None:
        token = frame.subject[len(self._replies) + 1 :]
        listener = self._expected.get(token)
        if listener is not None and not listener(frame):
            self._expected.pop(token, None)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        listener = self._listeners.get(sid)
        if listener is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        try:
            listener(Frame(subject.decode(), reply.decode(), data, headers))
        except Exception:
            log.exception("bus_listener_failed", subject=subject.decode())

    async def _process_pong(self) -> None:
        # nats-py answers the waiter even when it was cancelled meanwhile, and its reading task dies of that.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_err(self, err_msg: str) -> None:
        # nats-py closes for good on most of what a server can say; we come back and try again.
        if "permissions violation" in err_msg:
            log.error("bus_permission_denied", error=err_msg)
            return
        await self._process_op_err(errors.Error(f"nats: {err_msg}"))

    async def _note_error(self, error: Exception) -> None:
        if self._leaving or isinstance(error, errors.UnexpectedEOF):
            return
        if self.up.is_set() and self.is_connected:
            log.warning("bus_error", error=f"{type(error).__name__}: {error}")
        else:
            self._say_unreachable(f"{type(error).__name__}: {error}")

    async def _note_lost(self) -> None:
        self.up.clear()
        if not self._leaving:
            self._say_unreachable("connection lost")

    async def _note_back(self) -> None:
        self._said = False
        log.info("bus_back")
        self.up.set()
        unanswered = list(self._expected.items())
        self._expected.clear()
        for token, listener in unanswered:
            listener(Frame(f"{self._replies}.{token}", "", b"", _LOST))
        for action in list(self._returned):
            action()

    def _say_unreachable(self, error: str) -> None:
        if not self._said:
            self._said = True
            log.warning("bus_unreachable", error=error)
