"""One outcome for every queued file, and nothing done or paid for twice, wherever the process ends."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.bus.api import Bucket, Consumer, Delivery, NoAnswer, Reject, Retry
from libs.bus.memory import MemoryBucket, MemoryBus
from libs.events.analyzer import Cost, FailReason, FileAnalyzed, FileFailed, Usage
from libs.events.ledger import ScanCancelled
from libs.questions.analyzer import DescribeEngines
from libs.questions.ledger import Reservation, Reserve
from services.analyzer.clients import ledger
from services.analyzer.clients.ledger import LedgerMeter
from services.analyzer.handlers import analyse_file, describe_engines, give_up
from services.analyzer.ports import EngineFailed
from tests.unit.services.analyzer.scene import (
    PRICE,
    CountingEngine,
    Died,
    Dying,
    Purse,
    a_bench,
    a_file,
    delivered,
    keep_content,
    outcomes,
)


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus()
    await keep_content(bus, "c1", "c2")
    return bus


async def test_an_analysis_is_kept_before_anybody_hears_of_it(bus: MemoryBus) -> None:
    engine = CountingEngine()
    bench = await a_bench(bus, engine, wrap=lambda name, it: Dying(it, "publish", after=False) if name == "bus" else it)
    with pytest.raises(Died):
        await analyse_file(bench, delivered(a_file()))
    assert outcomes(bus) == []
    await analyse_file(await a_bench(bus, engine), delivered(a_file()))

    (told,) = outcomes(bus)
    assert isinstance(told, FileAnalyzed)
    assert (engine.analysed, told.reused) == (["a.py"], False)


async def test_what_is_kept_is_told_and_not_done_again(bus: MemoryBus) -> None:
    engine = CountingEngine()
    await analyse_file(await a_bench(bus, engine), delivered(a_file()))
    await analyse_file(await a_bench(bus, engine), delivered(a_file("moved.py", scan="s2")))

    first, second = outcomes(bus)
    assert isinstance(first, FileAnalyzed)
    assert isinstance(second, FileAnalyzed)
    assert engine.analysed == ["a.py"]
    assert (second.reused, second.reused_from, second.analysis) == (True, "s1", first.analysis)


async def test_only_the_file_that_paid_reports_the_cost(bus: MemoryBus) -> None:
    bench = await a_bench(bus, CountingEngine("llm", price=PRICE))
    for queued in (a_file(engine="llm"), a_file("copy.py", engine="llm"), a_file(scan="s2", engine="llm")):
        await analyse_file(bench, delivered(queued))

    told = [fact for fact in outcomes(bus) if isinstance(fact, FileAnalyzed)]
    assert [(fact.cost.ticks, fact.usage.calls, fact.saved_ticks, fact.reused) for fact in told] == [
        (PRICE, 1, 0, False),
        (0, 0, PRICE, True),
        (0, 0, PRICE, True),
    ]


async def test_equal_contents_in_hand_at_once_are_analysed_once(bus: MemoryBus) -> None:
    engine = CountingEngine()
    bench = await a_bench(bus, engine)
    await asyncio.gather(*(analyse_file(bench, delivered(a_file(f"{number}.py"))) for number in range(20)))

    assert len(engine.analysed) == 1
    assert sorted(fact.reused for fact in outcomes(bus) if isinstance(fact, FileAnalyzed)) == [False] + [True] * 19


async def test_what_decides_the_analysis_besides_the_content_keeps_results_apart(bus: MemoryBus) -> None:
    engine = CountingEngine()
    for queued in (a_file("a.py"), a_file("a.js"), a_file("b.py", content="c2")):
        await analyse_file(await a_bench(bus, engine), delivered(queued))
    engine.version = "2"
    await analyse_file(await a_bench(bus, engine), delivered(a_file("c.py")))

    assert engine.analysed == ["a.py", "a.js", "b.py", "c.py"]


async def reason_for(bus: MemoryBus, analyser: CountingEngine, **queued: str) -> FileFailed:
    await analyse_file(await a_bench(bus, analyser), delivered(a_file(**queued)))
    (told,) = outcomes(bus)
    assert isinstance(told, FileFailed)
    return told


async def test_a_file_whose_content_is_gone_fails(bus: MemoryBus) -> None:
    told = await reason_for(bus, CountingEngine(), content="gone")

    assert told.reason == FailReason.CONTENT_MISSING


async def test_a_file_for_an_engine_that_is_not_here_fails_and_names_it(bus: MemoryBus) -> None:
    told = await reason_for(bus, CountingEngine(), engine="oracle")

    assert (told.reason, "'oracle'" in told.detail) == (FailReason.ENGINE_ERROR, True)


async def test_what_an_engine_cannot_do_fails_with_its_reason_and_what_it_took(bus: MemoryBus) -> None:
    cost = Cost(ticks=9, source="billed")
    problem = EngineFailed("unusable_reply", "nothing in it", usage=Usage(calls=2), cost=cost)
    told = await reason_for(bus, CountingEngine(problem=problem))

    assert (told.reason, told.detail) == (FailReason.UNUSABLE_REPLY, "nothing in it")
    assert (told.usage.calls, told.cost) == (2, cost)


async def test_a_failure_is_tried_again_by_the_next_scan(bus: MemoryBus) -> None:
    engine = CountingEngine("llm", price=PRICE, problem=EngineFailed("refused", "no"))
    await analyse_file(await a_bench(bus, engine), delivered(a_file(engine="llm")))
    engine.problem = None
    await analyse_file(await a_bench(bus, engine), delivered(a_file(engine="llm", scan="s2")))

    assert [type(fact) for fact in outcomes(bus)] == [FileFailed, FileAnalyzed]


@pytest.mark.parametrize("price", [0, PRICE])
async def test_a_partial_result_is_nobody_elses(bus: MemoryBus, price: int) -> None:
    engine = CountingEngine(price=price, outcome="partial")
    bench = await a_bench(bus, engine)
    await analyse_file(bench, delivered(a_file()))
    await analyse_file(bench, delivered(a_file("copy.py")))
    await analyse_file(bench, delivered(a_file(scan="s2")))

    assert len(engine.analysed) == 3
    assert not any(fact.reused for fact in outcomes(bus) if isinstance(fact, FileAnalyzed))


async def test_a_file_that_is_given_up_has_an_outcome(bus: MemoryBus) -> None:
    await give_up(await a_bench(bus, CountingEngine()), delivered(a_file(), attempt=5), "ValueError: x")

    (told,) = outcomes(bus)
    assert isinstance(told, FileFailed)
    assert (told.reason, told.detail, told.attempts) == (FailReason.EXHAUSTED, "ValueError: x", 5)


async def test_an_engine_that_fails_by_a_bug_is_given_up_over_the_bus(bus: MemoryBus) -> None:
    engine = CountingEngine(problem=ZeroDivisionError("oops"))
    bench = await a_bench(bus, engine)
    consumer = Consumer(name="analyze-s1", filters=("scan.*.s1.file.queued.*",), max_attempts=2)
    await bus.publish([a_file(), a_file("fine.py", engine="oracle")])
    async with bus.consume(consumer, partial(analyse_file, bench), exhausted=partial(give_up, bench)):
        await bus.idle()

    reasons = {fact.path: fact.reason for fact in outcomes(bus) if isinstance(fact, FileFailed)}
    assert reasons == {"a.py": FailReason.EXHAUSTED, "fine.py": FailReason.ENGINE_ERROR}
    assert await bus.dead_letters() == []


async def test_something_passing_leaves_the_file_queued(bus: MemoryBus) -> None:
    engine = CountingEngine(problem=Retry("busy"))
    with pytest.raises(Retry):
        await analyse_file(await a_bench(bus, engine), delivered(a_file()))

    assert outcomes(bus) == []


async def test_what_is_no_queued_file_is_rejected(bus: MemoryBus) -> None:
    fact = ScanCancelled(repository_id="r", scan_id="s1")
    with pytest.raises(Reject):
        await analyse_file(await a_bench(bus, CountingEngine()), Delivery(fact=fact, subject=fact.subject, sequence=1))


async def test_without_room_in_the_budget_nothing_is_called_and_the_file_stays_queued(bus: MemoryBus) -> None:
    engine, purse = CountingEngine("llm", price=PRICE), Purse()
    purse.refusal = "the budget of the scan is spent"
    bench = await a_bench(bus, engine, purse=purse)
    with pytest.raises(Retry, match="budget"):
        await analyse_file(bench, delivered(a_file(engine="llm")))
    assert (engine.analysed, outcomes(bus)) == ([], [])
    purse.refusal = None
    await analyse_file(bench, delivered(a_file(engine="llm")))

    assert (engine.analysed, purse.granted) == (["a.py"], ["a.py"])


async def test_without_a_ledger_nothing_is_called(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ASKED_AGAIN", 0.0)
    engine = CountingEngine("llm", price=PRICE)
    bench = await a_bench(bus, engine, purse=LedgerMeter(bus))  # type: ignore[arg-type]
    with pytest.raises(Retry, match="no spending"):
        await analyse_file(bench, delivered(a_file(engine="llm")))

    assert (engine.analysed, outcomes(bus)) == ([], [])


async def test_what_is_free_needs_no_ledger(bus: MemoryBus) -> None:
    with pytest.raises(NoAnswer):
        await bus.ask(Reserve(repository_id="r", scan_id="s1", ticks=0))
    bench = await a_bench(bus, CountingEngine(), purse=LedgerMeter(bus))  # type: ignore[arg-type]
    await analyse_file(bench, delivered(a_file()))

    assert len(outcomes(bus)) == 1


async def test_the_worst_case_is_reserved_before_the_call(bus: MemoryBus) -> None:
    engine, asked = CountingEngine("llm", price=PRICE), []

    async def reserve(question: Reserve) -> Reservation:
        asked.append((question.scan_id, question.key, question.ticks, list(engine.analysed)))
        return Reservation(granted=True)

    async with bus.answer(Reserve, reserve):
        bench = await a_bench(bus, engine, purse=LedgerMeter(bus))  # type: ignore[arg-type]
        await analyse_file(bench, delivered(a_file(engine="llm")))

    assert asked == [("s1", a_file().key, 2 * PRICE, [])]


CRASHES = [
    ("blobs", "get", False),
    ("analyses", "get", False),
    ("claims", "add", True),
    ("analyses", "put", True),
    ("claims", "remove", False),
    ("bus", "publish", False),
    ("bus", "publish", True),
]
ENDINGS = {
    "complete": {},
    "partial": {"outcome": "partial"},
    "failed": {"problem": EngineFailed("refused", "no", cost=Cost(ticks=PRICE, source="billed"))},
}


def forget_claims(claims: Bucket) -> None:
    """As time does with those of the dead."""
    assert isinstance(claims, MemoryBucket)
    claims._values.clear()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("where", "method", "after"), CRASHES, ids=lambda part: str(part))
async def test_a_crash_anywhere_after_the_answer_pays_once_and_tells_once(
    bus: MemoryBus, where: str, method: str, after: bool, ending: str
) -> None:
    engine, purse = CountingEngine("llm", price=PRICE, **ENDINGS[ending]), Purse()  # type: ignore[arg-type]

    def dying(name: str, thing: object) -> object:
        return Dying(thing, method, after=after) if name == where else thing

    with contextlib.suppress(Died):
        await analyse_file(await a_bench(bus, engine, purse=purse, wrap=dying), delivered(a_file(engine="llm")))
    forget_claims(await bus.bucket("claims"))
    survivor = await a_bench(bus, engine, purse=purse)
    for attempt in (2, 3):
        await analyse_file(survivor, delivered(a_file(engine="llm"), attempt=attempt))

    (told,) = outcomes(bus)
    assert isinstance(told, FileAnalyzed | FileFailed)
    assert (engine.analysed, purse.granted, told.cost.ticks) == (["a.py"], ["a.py"], PRICE)


@given(contents=st.lists(st.integers(0, 4), min_size=1, max_size=25), seed=st.integers(0, 2**32), price=st.booleans())
@settings(max_examples=25, deadline=None)
async def test_however_files_are_delivered_each_is_told_once_and_each_content_paid_once(
    contents: list[int], seed: int, price: bool
) -> None:
    bus = MemoryBus(shuffle=Random(seed), duplicate=0.4)
    await keep_content(bus, *(f"c{content}" for content in range(5)))
    engine, purse = CountingEngine(price=PRICE if price else 0), Purse()
    files = [a_file(f"{number}.py", content=f"c{content}") for number, content in enumerate(contents)]
    bench = await a_bench(bus, engine, purse=purse)
    consumer = Consumer(name="analyze-s1", filters=("scan.*.s1.file.queued.*",))
    async with bus.consume(consumer, partial(analyse_file, bench), exhausted=partial(give_up, bench)):
        await bus.publish(files)
        await bus.idle()

    told = [fact for fact in outcomes(bus) if isinstance(fact, FileAnalyzed)]
    assert sorted(fact.path for fact in told) == sorted(queued.path for queued in files)
    assert sum(fact.cost.ticks for fact in told) == engine.price * len(set(contents))
    assert len(engine.analysed) == len(set(contents))


async def test_nothing_stays_in_hand(bus: MemoryBus) -> None:
    bench = await a_bench(bus, CountingEngine(problem=ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        await analyse_file(bench, delivered(a_file()))

    assert bench.in_hand == {}
    assert bench.same_content._locks == {}


async def test_engines_are_named_with_their_versions(bus: MemoryBus) -> None:
    bench = await a_bench(bus, CountingEngine(), CountingEngine("llm"))
    described = await describe_engines(bench, "llm", DescribeEngines())

    assert (described.engines, described.preferred) == ({"static": "1", "llm": "1"}, "llm")
