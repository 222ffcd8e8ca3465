"""Slots: one bound over several subscriptions, evenly shared, in turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.bus.api import Seat, Slots


def seats(slots: Slots, count: int) -> list[Seat]:
    return [slots.join(lambda: None) for _ in range(count)]


def test_a_subscription_by_itself_may_have_everything() -> None:
    [seat] = seats(Slots(8), 1)

    assert seat.allowance() == 8


def test_who_is_idle_asks_for_one() -> None:
    assert [seat.allowance() for seat in seats(Slots(8), 3)] == [1, 1, 1]


def test_the_busy_split_the_total_evenly() -> None:
    one, two, idle = seats(Slots(8), 3)
    one.hold(1)
    assert one.allowance() == 8

    two.hold(3)
    assert (one.allowance(), two.allowance(), idle.allowance()) == (4, 4, 1)


def test_what_one_gives_up_the_other_is_told_of() -> None:
    slots, woken = Slots(8), []
    one = slots.join(lambda: woken.append("one"))
    two = slots.join(lambda: woken.append("two"))
    one.hold(4)
    two.hold(4)

    two.hold(0)
    assert woken == ["one"]
    assert one.allowance() == 8


def test_a_slot_that_gets_free_goes_round() -> None:
    slots, order = Slots(1), []

    def eager(name: str) -> Seat:
        def wake() -> None:
            if seat.take():
                order.append(name)

        seat = slots.join(wake)
        return seat

    first, second, third = eager("first"), eager("second"), eager("third")
    assert first.take()
    assert not second.take()
    assert not third.take()
    assert not first.take()
    for seat in (first, second, third):
        seat.give_back()
    assert order == ["second", "third", "first"]


def test_who_leaves_while_waiting_leaves_the_turn_to_the_next() -> None:
    slots, woken = Slots(1), []
    one = slots.join(lambda: woken.append("one"))
    two = slots.join(lambda: woken.append("two"))
    assert one.take()
    assert not two.take()
    two.leave()

    one.give_back()
    assert woken == []
    assert one.take()


@pytest.mark.parametrize("total", [0, -1])
def test_there_is_at_least_one_slot(total: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Slots(total)


@given(st.integers(1, 10), st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=100))
def test_never_more_run_than_there_are_slots(total: int, steps: list[tuple[int, bool]]) -> None:
    slots = Slots(total)
    places, running = seats(slots, 5), [0] * 5
    for place, start in steps:
        if start:
            running[place] += places[place].take()
        elif running[place]:
            running[place] -= 1
            places[place].give_back()

        assert slots.running == sum(running) <= total
