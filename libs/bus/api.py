"""What handlers see of the bus. JetStream and the in-memory bus keep the same promises (one contract suite).

The order in every handler: do the work, keep its result, publish the facts that follow from what is kept,
return. Returning acknowledges. A handler that runs twice publishes the same facts twice, and the second
time is told so: a subject holds one fact for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from libs.events.envelope import Fact, Model
from libs.questions.envelope import Question

Reply = TypeVar("Reply", bound=Model)
Asked = TypeVar("Asked", bound=Question[Any])


class Retry(Exception):
    """Not now: deliver the message again after ``after`` seconds."""

    def __init__(self, reason: str, *, after: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Reject(Exception):
    """Never: keep the message for a person, in the ``DEAD`` stream, with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoAnswer(Exception):
    """Nobody answered a question in time; the bus or the service that should is away."""


class Refused(Exception):
    """The service that was asked says no, in one sentence that a person can act on."""

    def __init__(self, reason: str, *, code: str = "refused") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One fact as delivered. ``attempt`` is 1 the first time; ``sequence`` is its place in the stream."""

    fact: Fact
    subject: str
    sequence: int
    attempt: int = 1
    published_at: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Delivery], Awaitable[None]]
BatchHandler = Callable[[Sequence[Delivery]], Awaitable[None]]
Exhausted = Callable[[Delivery, str], Awaitable[None]]
"""Called instead of the dead-letter stream when a delivery is given up; told the last reason."""


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A durable consumer: its name and what it hears. Same name, same position, in any process.

    ``max_in_flight`` bounds the messages this process holds; ``max_ack_pending`` bounds them over all
    processes. ``ack_wait`` is the silence (seconds) after which a message is taken for lost; a handler
    at work is kept alive by heartbeats of the bus. ``max_attempts`` counts failures that are bugs.
    """

    name: str
    filters: tuple[str, ...]
    max_in_flight: int = 64
    max_ack_pending: int = 1000
    ack_wait: float = 20.0
    max_attempts: int = 5


@dataclass(frozen=True, kw_only=True)
class ConsumerState:
    """Where a consumer stands. ``waiting`` have not been delivered, ``in_hand`` not been acknowledged."""

    name: str
    ack_floor: int
    waiting: int
    in_hand: int
    redelivered: int
    paused: bool


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that was given up: what it was, by whom, why, after how many attempts."""

    sequence: int
    subject: str
    consumer: str
    reason: str
    attempts: int
    payload: bytes
    died_at: datetime


class Slots:
    """A bound shared by several subscriptions of one process, who take turns.

    Never more than ``total`` handlers run at once over all of them. One that is idle asks the server for at most
    one message; those that are busy split the total evenly.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"slots must be at least 1, not {total}")
        self.total = total
        self._seats: dict[Seat, None] = {}
        self._waiting: dict[Seat, None] = {}
        self._running = 0
        self._busy = 0

    @property
    def running(self) -> int:
        """Handlers at work just now."""
        return self._running

    def join(self, wake: Callable[[], None]) -> Seat:
        """A seat for one subscription; ``wake`` is called when it may start, or ask for, more."""
        seat = Seat(self, wake)
        self._seats[seat] = None
        return seat

    def _allowance(self, seat: Seat) -> int:
        if len(self._seats) == 1:
            return self.total
        return -(-self.total // self._busy) if seat.held else 1

    def _hold(self, seat: Seat, held: int) -> None:
        was, now = bool(seat.held), bool(held)
        seat.held = held
        self._busy += now - was
        if was and not now and self._busy:
            for other in [other for other in self._seats if other.held]:
                other.wake()

    def _take(self, seat: Seat) -> bool:
        if self._running >= self.total:
            self._waiting[seat] = None
            return False
        self._running += 1
        return True

    def _give_back(self) -> None:
        self._running -= 1
        self._serve_waiting()

    def _leave(self, seat: Seat) -> None:
        self._hold(seat, 0)
        self._seats.pop(seat, None)
        self._waiting.pop(seat, None)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting and self._running < self.total:
            seat = next(iter(self._waiting))
            del self._waiting[seat]
            seat.wake()


class Seat:
    """One subscription's part in ``Slots``; ``held`` is how many messages it has in hand."""

    def __init__(self, slots: Slots, wake: Callable[[], None]) -> None:
        self._slots = slots
        self.wake = wake
        self.held = 0

    def allowance(self) -> int:
        """How many messages this subscription may have in hand or ask for now."""
        return self._slots._allowance(self)

    def hold(self, held: int) -> None:
        """Say how many messages are in hand."""
        self._slots._hold(self, held)

    def take(self) -> bool:
        """Whether a handler may start now; if not, ``wake`` is called when it is this subscription's turn."""
        return self._slots._take(self)

    def give_back(self) -> None:
        """A handler has ended."""
        self._slots._give_back()

    def leave(self) -> None:
        """The subscription has ended and none of its handlers runs any more."""
        self._slots._leave(self)


class Bucket(Protocol):
    """A key-value bucket. Keys are letters, digits, ``-``, ``_``, ``/``, ``=`` and ``.``."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none (any more)."""

    async def put(self, key: str, value: bytes) -> None:
        """Keep the value, replacing what was there."""

    async def add(self, key: str, value: bytes) -> bool:
        """Keep the value unless the key has one; whether this is the key's value now. Of many at once, one wins."""

    async def remove(self, key: str) -> None:
        """Forget the value; no error when there is none."""

    async def put_all(self, values: Mapping[str, bytes]) -> None:
        """Keep many values, pipelined; returns when every one is stored."""

    async def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that have one, in one go."""


class Subscription(Protocol):
    """A running consumer. Leaving its context stops it: no new messages, unfinished ones handed back."""

    @property
    def in_hand(self) -> int:
        """Messages delivered to this process and not yet answered."""

    @property
    def gone(self) -> bool:
        """The durable consumer was deleted; nothing will come any more."""


class Bus(Protocol):
    """Facts, questions and buckets. One per process; every method may wait while the server is away."""

    async def publish(self, facts: Sequence[Fact]) -> int:
        """Publish facts in order, pipelined, and wait until every one is stored.

        Returns how many were new; one that its subject already held counts as done before.

        Raises:
            ValueError: a fact is over the size limit; nothing of it was sent.
        """

    async def ensure_consumer(self, consumer: Consumer) -> None:
        """Create the durable consumer if it is not there; same name and filters is no error."""

    async def delete_consumer(self, name: str) -> None:
        """Delete it; no error when it is gone."""

    async def pause_consumer(self, name: str) -> None:
        """Deliver nothing until it is resumed; no error when it is gone."""

    async def resume_consumer(self, name: str) -> None:
        """Deliver again; no error when it is gone."""

    async def consumers(self, prefix: str = "") -> list[ConsumerState]:
        """The durable consumers whose name starts so, in order of name."""

    def consume(
        self,
        consumer: Consumer,
        handler: Handler,
        *,
        exhausted: Exhausted | None = None,
        slots: Slots | None = None,
        create: bool = True,
    ) -> AbstractAsyncContextManager[Subscription]:
        """Run the handler for each delivery, ``max_in_flight`` at a time, until the context is left.

        The consumer is created if need be; without ``create`` it is only joined, and ``gone`` at once where it is
        not there. ``slots`` shares one bound among several consumers, in turns.
        On leaving: no new pulls; handlers get ``grace`` seconds to finish; the rest is handed back.
        """

    def consume_batches(
        self, consumer: Consumer, handler: BatchHandler, *, most: int, linger: float = 0.005
    ) -> AbstractAsyncContextManager[Subscription]:
        """Like ``consume``, with up to ``most`` deliveries at once, at most ``linger`` seconds after the first.

        The whole batch is acknowledged together. Retry hands all of it back. After Reject or a bug its
        members are tried one by one, so that only the guilty one is kept for a person. One batch is handled at
        a time, the next is gathered meanwhile: ``max_in_flight`` of twice ``most`` keeps both full.
        """

    def follow(
        self, pattern: str, *, since: datetime | int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """The stored facts that match, in order, then those to come. ``since`` is a time, or a sequence to start at;
        none: only those to come. Leaves no trace in the stream; facts this version cannot read are passed over."""

    async def ask(self, question: Question[Reply], *, timeout: float = 5.0) -> Reply:
        """One answer from any replica of the service that owns the question.

        Raises:
            NoAnswer: nobody answered within ``timeout`` seconds.
            Refused: the service says no.
        """

    def answer(
        self, question: type[Asked], handler: Callable[[Asked], Awaitable[Model]]
    ) -> AbstractAsyncContextManager[None]:
        """Answer a question until the context is left; replicas share the questions."""

    async def shout(self, subject: str, payload: bytes) -> None:
        """Tell whoever listens just now; kept nowhere. Subjects start with ``live.``."""

    def overhear(self, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, bytes]]]:
        """Subject and payload of what is shouted while the context is open; the oldest are dropped when slow."""

    async def bucket(self, name: str, *, ttl: timedelta | None = None) -> Bucket:
        """The bucket of that name, created if need be; values live for ``ttl``."""

    async def last_sequence(self) -> int:
        """The sequence of the newest fact in the stream; 0 when it is empty."""

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """What was given up, newest first."""

    async def redrive(self, sequence: int) -> None:
        """Deliver a dead letter to its consumer's handlers again and remove it from the dead ones when it is done.

        Returns when a handler has answered, or after some seconds while it is still at work. What is given up again
        is a dead letter again, with its new reason.

        Raises:
            KeyError: there is no dead letter of that sequence.
            NoAnswer: nobody consumes under that name just now; it stays where it is.
        """
