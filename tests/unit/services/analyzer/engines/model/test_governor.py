"""The governor: how many at once, how often, who first, and nobody lost when somebody is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from services.analyzer.engines.model.governor import FIRST_WINDOW, LATE, Governor, Limits, Pace


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Crowd:
    """Callers who stay inside until they are let go."""

    def __init__(self, governor: Governor) -> None:
        self.governor = governor
        self.inside: list[str] = []
        self.order: list[str] = []
        self._let_go: dict[str, asyncio.Event] = {}

    def come(self, name: str, ticket: int | None = None) -> asyncio.Task[None]:
        self._let_go[name] = asyncio.Event()
        ticket = self.governor.ticket() if ticket is None else ticket
        return asyncio.create_task(self._stay(name, ticket))

    def leave(self, name: str) -> None:
        self._let_go[name].set()

    async def _stay(self, name: str, ticket: int) -> None:
        async with self.governor.turn(ticket, tokens=100):
            self.inside.append(name)
            self.order.append(name)
            try:
                await self._let_go[name].wait()
            finally:
                self.inside.remove(name)


async def test_no_more_are_inside_than_the_ceiling_and_they_come_in_order() -> None:
    crowd = Crowd(Governor(Limits(parallel=2)))
    tasks = [crowd.come(name) for name in "abcd"]
    await until(lambda: len(crowd.inside) == 2)
    for name in "abcd":
        crowd.leave(name)
        assert len(crowd.inside) <= 2
    await asyncio.gather(*tasks)

    assert crowd.order == list("abcd")


async def test_a_question_that_comes_again_goes_before_later_ones() -> None:
    governor = Governor(Limits(parallel=1))
    crowd, early = Crowd(governor), governor.ticket()
    tasks = [crowd.come("first"), crowd.come("late"), crowd.come("again", early)]
    await until(lambda: crowd.inside == ["first"])
    for name in ("first", "late", "again"):
        crowd.leave(name)
    await asyncio.gather(*tasks)

    assert crowd.order.index("again") < crowd.order.index("late")


@given(st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True), st.integers(1, 4))
def test_cancelling_anybody_at_any_time_leaves_no_place_taken(cancelled: list[str], parallel: int) -> None:
    async def scene() -> None:
        governor = Governor(Limits(parallel=parallel))
        crowd = Crowd(governor)
        tasks = {name: crowd.come(name) for name in "abcdefgh"}
        for turn, name in enumerate(cancelled):
            if turn % 2:
                await asyncio.sleep(0)
            elif crowd.inside:
                crowd.leave(crowd.inside[0])
            tasks[name].cancel()
        for name in "abcdefgh":
            crowd.leave(name)
        await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), 5)

        assert governor.inside == 0
        async with asyncio.timeout(5), governor.turn(governor.ticket(), tokens=1):
            pass

    asyncio.run(scene())


async def test_whoever_is_let_in_and_cancelled_at_once_gives_the_place_on() -> None:
    governor = Governor(Limits(parallel=1))
    crowd = Crowd(governor)
    async with governor.turn(governor.ticket(), tokens=1):
        let_in, next_one = crowd.come("let in"), crowd.come("next")
        await asyncio.sleep(0)
    # Let in by our leaving, and has not run since.
    let_in.cancel()
    crowd.leave("next")
    with suppress(asyncio.CancelledError):
        await let_in
    await asyncio.wait_for(next_one, 5)

    assert crowd.order == ["next"]


@given(st.floats(1, 10_000), st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), min_size=1, max_size=40))
def test_a_pace_never_lets_more_through_than_its_rate(rate: float, comings: list[tuple[float, int]]) -> None:
    pace, now, through = Pace(rate), 0.0, 0.0
    first = None
    for later, amount in comings:
        now += later
        now += pace.wait(now)
        first = now if first is None else first
        assert through <= rate / 60 * (now - first + LATE) * (1 + 1e-9) + 1e-6
        pace.take(amount, now)
        through += amount


async def test_calls_are_spread_over_the_minute() -> None:
    governor, times = Governor(Limits(parallel=50, requests_per_minute=6_000)), []

    async def call() -> None:
        async with governor.turn(governor.ticket(), tokens=1):
            times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(call() for _ in range(31)))

    assert times[-1] - times[0] >= 30 * 0.01 - LATE - 0.01


async def test_tokens_that_were_not_used_are_given_back() -> None:
    now = 0.0
    governor = Governor(Limits(tokens_per_minute=600), clock=lambda: now)
    async with governor.turn(governor.ticket(), tokens=6_000) as turn:
        turn.succeeded(tokens=0)
    async with asyncio.timeout(5), governor.turn(governor.ticket(), tokens=1):
        pass

    assert governor.inside == 0


async def one_after_another(governor: Governor, count: int, *, throttled: bool) -> None:
    for _ in range(count):
        async with governor.turn(governor.ticket(), tokens=1) as turn:
            turn.throttled() if throttled else turn.succeeded(tokens=1)


async def test_unknown_limits_are_felt_for_from_below() -> None:
    governor = Governor(Limits(parallel=64))
    start = governor.window
    await one_after_another(governor, 30, throttled=False)
    grown = governor.window
    await one_after_another(governor, 1, throttled=True)
    cut = governor.window
    await one_after_another(governor, 5, throttled=False)

    assert start == FIRST_WINDOW < grown == FIRST_WINDOW + 30
    assert cut < grown
    assert governor.window == cut


async def test_calls_of_the_same_moment_cut_the_window_once() -> None:
    together, alone = Governor(Limits(parallel=64)), Governor(Limits(parallel=64))
    async with together.turn(1, tokens=1) as first, together.turn(2, tokens=1) as second:
        first.throttled()
        second.throttled()
    await one_after_another(alone, 1, throttled=True)

    assert together.window == alone.window


async def test_known_limits_are_not_cut() -> None:
    governor = Governor(Limits(parallel=64, requests_per_minute=60_000))
    await one_after_another(governor, 3, throttled=True)

    assert governor.window == 64
