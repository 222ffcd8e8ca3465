"""The pull loop of one durable consumer: asks for as many messages as there is room, and says what the server says.

One subscription receives everything. Requests are open-ended promises of the server to send up to so many messages;
``_asked`` is what is still promised. Whenever that is in doubt (a reconnect, a leader's change, silence where
heartbeats were due) it is set to zero and asked again: a message too many waits in hand, one too few never comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog
from nats.aio.subscription import Subscription as Inbox

from libs.bus.hand import Batches, Singles
from libs.bus.link import NO_RESPONDERS, ApiError, Frame, Link
from libs.bus.verdict import Held

log = structlog.get_logger(__name__)

EXPIRES = 30.0
HEARTBEAT = 5.0
COALESCE = 0.002
ANSWER_AGAIN = 0.5
ANSWER_TRIES = 3
REFUSED_WAIT = 1.0


class JetStreamHeld:
    """A message of a pull consumer. Its answer is sent with a reply subject, so that it is known to have arrived."""

    __slots__ = (
        "_answer",
        "_frame",
        "_link",
        "_reply",
        "_settled",
        "_tries",
        "attempt",
        "payload",
        "sequence",
        "subject",
    )

    def __init__(self, link: Link, frame: Frame, settled: Callable[[Held], None]) -> None:
        tokens = frame.reply.split(".")
        self._link = link
        self._frame = frame
        self._settled = settled
        self._answer = b""
        self._reply = ""
        self._tries = 0
        self.subject = frame.subject
        self.payload = frame.data
        self.attempt = int(tokens[-5])
        self.sequence = int(tokens[-4])

    @property
    def headers(self) -> Mapping[str, str]:
        return self._frame.headers

    @property
    def published_at(self) -> datetime | None:
        return datetime.fromtimestamp(int(self._frame.reply.split(".")[-2]) / 1e9, UTC)

    def ack(self) -> None:
        self._give(b"+ACK")

    def nak(self, delay: float) -> None:
        self._give(b'-NAK {"delay": %d}' % round(delay * 1e9) if delay > 0 else b"-NAK")

    def terminate(self, reason: str) -> None:
        self._give(b"+TERM " + " ".join(reason.split()).encode()[:250])

    def working(self) -> None:
        if not self._answer:
            self._link.send(self._frame.reply, b"+WPI")
        else:
            self._answer_again()

    def _give(self, answer: bytes) -> None:
        if not self._answer:
            self._answer = answer
            self._send()

    def _send(self) -> None:
        self._reply = self._link.expect(self._confirmed)
        self._link.send(self._frame.reply, self._answer, self._reply)

    def _confirmed(self, frame: Frame) -> None:
        if frame.is_loss:
            # Said once more into the new connection; a server that has forgotten the delivery makes it again anyway.
            self._link.send(self._frame.reply, self._answer)
            self._settled(self)
        elif frame.status == NO_RESPONDERS:
            asyncio.get_running_loop().call_later(ANSWER_AGAIN * self._tries, self._answer_again)
        else:
            self._settled(self)

    def _answer_again(self) -> None:
        """A server says nothing to an answer for a delivery it has forgotten; such a message comes again."""
        self._link.forget(self._reply)
        self._tries += 1
        if self._tries < ANSWER_TRIES:
            self._send()
        else:
            self._settled(self)


class Pull:
    """Asks for messages as long as it is open."""

    def __init__(self, link: Link, stream: str, consumer: str, intake: Singles | Batches) -> None:
        self._link = link
        self._stream = stream
        self._consumer = consumer
        self._intake = intake
        self._asked = 0
        self._heard_at = 0.0
        self._open = False
        self._planned: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._checking: asyncio.Task[None] | None = None
        self._inbox: Inbox | None = None
        self._subject = link.new_inbox()
        self._stop_returns: Callable[[], None] | None = None
        self.gone = False

    @property
    def in_hand(self) -> int:
        return len(self._intake.hand)

    async def start(self) -> None:
        """Subscribe, and ask for the first messages."""
        self._inbox = await self._link.listen(self._subject, self._hear)
        self._open = True
        self._stop_returns = self._link.on_return(self._ask_anew)
        self._intake.on_room = self.refresh
        self._look()
        self._ask_anew()

    async def stop(self) -> None:
        """Ask for nothing any more. What the server had sent before it knew still reaches the intake."""
        self._open = False
        if self._stop_returns is not None:
            self._stop_returns()
        for timer in (self._planned, self._watch):
            if timer is not None:
                timer.cancel()
        if self._checking is not None:
            self._checking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._checking
        if self._inbox is not None:
            await self._link.unlisten(self._inbox)

    def refresh(self) -> None:
        """Ask for more, at once when half the room is free, otherwise in a moment together with what else gets free.

        While more is promised than could be asked for on top, nothing is asked: a request a message helps nobody.
        """
        if not self._open or self.gone:
            return
        free = self._intake.room() - self._asked
        if free <= 0 or free < self._asked:
            return
        if free >= len(self._intake.hand):
            self._ask()
        elif self._planned is None:
            self._planned = asyncio.get_running_loop().call_later(COALESCE, self._ask)

    def _ask(self) -> None:
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None
        free = self._intake.room() - self._asked
        if free <= 0 or not self._open or self.gone:
            return
        self._asked += free
        request = {"batch": free, "expires": round(EXPIRES * 1e9), "idle_heartbeat": round(HEARTBEAT * 1e9)}
        self._link.send(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}", json.dumps(request).encode(), self._subject
        )

    def _ask_anew(self) -> None:
        self._asked = 0
        self._heard_at = asyncio.get_running_loop().time()
        self._ask()

    def _look(self) -> None:
        """Silence where heartbeats were due means that the request was lost."""
        loop = asyncio.get_running_loop()
        if self._asked and loop.time() - self._heard_at > 2 * HEARTBEAT:
            self._ask_anew()
        self._watch = loop.call_later(HEARTBEAT, self._look)

    def _hear(self, frame: Frame) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        status = frame.status
        if not status:
            self._asked = max(0, self._asked - 1)
            self._intake.deliver(JetStreamHeld(self._link, frame, self._intake.hand.settled))
            if not self._asked:
                self.refresh()
        elif status != 100:
            self._hear_status(status, frame)

    def _hear_status(self, status: int, frame: Frame) -> None:
        """408 and 409 end a request and say what it left undelivered; others mean that no server has it."""
        if frame.description == "Consumer Deleted":
            self._be_gone()
        elif status == NO_RESPONDERS or "Leadership" in frame.description or "Shutdown" in frame.description:
            self._asked = 0
            if self._checking is None and self._open:
                self._checking = asyncio.create_task(self._check())
        else:
            self._asked = max(0, self._asked - int(frame.headers.get("Nats-Pending-Messages", self._asked)))
            if status not in (404, 408):
                log.warning("pull_refused", consumer=self._consumer, status=status, description=frame.description)
            if self._planned is None:
                self._planned = asyncio.get_running_loop().call_later(
                    COALESCE if status == 408 else REFUSED_WAIT, self._ask
                )

    async def _check(self) -> None:
        """Nobody answered for the consumer: it is gone, or its server is not there yet."""
        try:
            await asyncio.sleep(0.05)
            await self._link.call(f"CONSUMER.INFO.{self._stream}.{self._consumer}")
        except ApiError as error:
            if error.code == 404:
                self._be_gone()
                return
            log.warning("consumer_unavailable", consumer=self._consumer, error=str(error))
            await asyncio.sleep(REFUSED_WAIT)
        finally:
            self._checking = None
        self._ask_anew()

    def _be_gone(self) -> None:
        if not self.gone:
            self.gone = True
            log.info("consumer_gone", consumer=self._consumer)
