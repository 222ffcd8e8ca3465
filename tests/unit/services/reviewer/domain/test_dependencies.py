"""Whatever tasks wish of each other, there is an order in which to do them."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.reviewer.domain.dependencies import acyclic, ordered, reduced

TASKS = "abcdefgh"
WISHES = st.dictionaries(
    st.sampled_from(TASKS), st.dictionaries(st.sampled_from(TASKS), st.integers(1, 9), max_size=8), max_size=8
)
RANKS = st.fixed_dictionaries({task: st.sampled_from((1.0, 2.0, 3.0)) for task in TASKS})


def reach(edges: dict[str, list[str]], task: str) -> set[str]:
    found: set[str] = set()
    waiting = [task]
    while waiting:
        for other in edges.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


@given(WISHES, RANKS)
def test_no_task_waits_for_itself(wanted: dict[str, dict[str, int]], rank: dict[str, float]) -> None:
    edges = {task: list(others) for task, others in acyclic(wanted, rank).items()}

    assert all(task not in reach(edges, task) for task in TASKS)


@given(WISHES, RANKS)
def test_the_order_has_every_task_once_after_what_it_needs(
    wanted: dict[str, dict[str, int]], rank: dict[str, float]
) -> None:
    edges = acyclic(wanted, rank)
    order = ordered(TASKS, edges, rank)

    assert sorted(order) == sorted(TASKS)
    assert all(order.index(other) < order.index(task) for task, others in edges.items() for other in others)


@given(WISHES, RANKS)
def test_reducing_loses_no_order_and_keeps_no_edge_that_follows(
    wanted: dict[str, dict[str, int]], rank: dict[str, float]
) -> None:
    edges = acyclic(wanted, rank)
    needs = reduced(edges, ordered(TASKS, edges, rank), most=len(TASKS))
    plain = {task: list(others) for task, others in edges.items()}

    assert all(reach(needs, task) == reach(plain, task) for task in TASKS)
    assert all(
        other not in reach(needs, between) for others in needs.values() for other in others for between in others
    )


def test_without_wishes_the_rank_is_the_order() -> None:
    assert ordered("abc", {}, {"a": 1.0, "b": 3.0, "c": 2.0}) == ["b", "c", "a"]


def test_a_low_task_that_a_high_one_needs_comes_right_before_it() -> None:
    assert ordered("abcd", {"a": ["d"]}, {"a": 3.0, "b": 4.0, "c": 2.0, "d": 1.0}) == ["b", "d", "a", "c"]


def test_a_chain_of_ten_thousand_tasks_is_no_trouble() -> None:
    tasks = [f"{number:05}" for number in range(10_000)]
    rank = dict.fromkeys(tasks, 1.0)
    edges = acyclic({after: {before: 1} for before, after in itertools.pairwise(tasks)}, rank)

    assert ordered(tasks, edges, rank) == tasks
