"""How fast one quota may be used: so many calls at once, so many requests and tokens a minute, first come first served.

One governor for each quota pool of a process, shared by everybody who asks there. Where the provider's limits are known
the calls are spread evenly under them; where they are not, the number at once grows from a few until the provider says
no, is cut then, and grows slowly from there on.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FIRST_WINDOW = 8
CUT = 0.7
LATE = 0.1
"""Seconds of a pace that a late wake-up may catch up with; more would be a burst."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``parallel`` is our own ceiling; the rates are the provider's, None where nobody knows them."""

    parallel: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    @property
    def known(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None


class Pace:
    """Amounts spread evenly over time: each is due when the ones before it have had theirs."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._due = float("-inf")

    def wait(self, now: float) -> float:
        return max(0.0, self._due - now) if self._seconds_each else 0.0

    def take(self, amount: float, now: float) -> None:
        self._due = max(self._due, now - LATE) + amount * self._seconds_each

    def give_back(self, amount: float) -> None:
        """What was taken too much; taken too little where negative."""
        self._due -= amount * self._seconds_each


@dataclass(order=True)
class _Waiter:
    ticket: int
    tokens: int = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


@dataclass
class Turn:
    """Leave to make one call. Say what became of it before it ends."""

    governor: Governor
    tokens: int
    season: int

    def succeeded(self, *, tokens: int) -> None:
        """The provider answered, and counted so many tokens."""
        self.governor.settle(self.tokens - tokens)
        self.governor.widen()

    def throttled(self) -> None:
        """The provider said that it was too much."""
        self.governor.settle(self.tokens)
        self.governor.narrow(self.season)


class Governor:
    """Lets calls in. A call that is repeated keeps its ticket, and so its place before those that came later."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] | None = None) -> None:
        self._limits = limits
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._requests = Pace(limits.requests_per_minute)
        self._tokens = Pace(limits.tokens_per_minute)
        self._window = float(limits.parallel if limits.known else min(FIRST_WINDOW, limits.parallel))
        self._doubling = not limits.known
        self._season = 0
        self._tickets = 0
        self._waiting: list[_Waiter] = []
        self._timer: asyncio.TimerHandle | None = None
        self.inside = 0

    @property
    def window(self) -> int:
        """How many may be inside at once now."""
        return max(1, int(self._window))

    def ticket(self) -> int:
        """A place in the queue, to be kept until the question is answered."""
        self._tickets += 1
        return self._tickets

    @asynccontextmanager
    async def turn(self, ticket: int, *, tokens: int) -> AsyncIterator[Turn]:
        """Wait for a turn and have it; ``tokens`` is what the call is thought to take."""
        await self._enter(ticket, tokens)
        try:
            yield Turn(self, tokens, self._season)
        finally:
            self._leave()

    async def _enter(self, ticket: int, tokens: int) -> None:
        waiter = _Waiter(ticket, tokens, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            # Let in and cancelled in the same moment: nobody would leave for it.
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self.inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.inside < self.window:
            if self._waiting[0].admitted.done():
                heapq.heappop(self._waiting)
                continue
            now = self._clock()
            wait = max(self._requests.wait(now), self._tokens.wait(now))
            if wait > 0:
                self._wake_after(wait)
                return
            self._let_in(heapq.heappop(self._waiting), now)

    def _let_in(self, waiter: _Waiter, now: float) -> None:
        self._requests.take(1, now)
        self._tokens.take(waiter.tokens, now)
        self.inside += 1
        waiter.admitted.set_result(None)

    def _wake_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)

    def settle(self, tokens_too_many: int) -> None:
        """A call took fewer tokens than it was let in with (more, where negative)."""
        self._tokens.give_back(tokens_too_many)

    def widen(self) -> None:
        step = 1.0 if self._doubling else 1 / self._window
        self._window = min(float(self._limits.parallel), self._window + step)

    def narrow(self, season: int) -> None:
        """Cut once for all calls that were let in before the last cut: they say the same thing."""
        if self._limits.known or season != self._season:
            return
        self._season += 1
        self._doubling = False
        self._window = max(1.0, self._window * CUT)
