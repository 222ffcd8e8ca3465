"""A question has one answer, a refusal, or nobody to give it."""

from __future__ import annotations

import asyncio

import pytest

from libs.bus.api import Bus, NoAnswer, Refused, Retry
from libs.events.envelope import Model
from libs.questions.analyzer import DescribeEngines, Engines
from libs.questions.differ import RequestScan, ScanTicket
from tests.contract.bus.scene import PATIENCE


async def a_ticket(asked: RequestScan) -> ScanTicket:
    return ScanTicket(repository_id=asked.repository_id, scan_id="s1")


async def test_the_answer_is_of_the_question_s_type(bus: Bus) -> None:
    async with bus.answer(RequestScan, a_ticket):
        ticket = await bus.ask(RequestScan(repository_id="r7"))
    assert ticket == ScanTicket(repository_id="r7", scan_id="s1")


async def test_a_refusal_reaches_the_asker_with_its_code(bus: Bus) -> None:
    async def refuse(asked: RequestScan) -> ScanTicket:
        raise Refused("Das Repository läuft schon: 100 %", code="busy")

    async with bus.answer(RequestScan, refuse):
        with pytest.raises(Refused) as refused:
            await bus.ask(RequestScan(repository_id="r"))
    assert (refused.value.code, refused.value.reason) == ("busy", "Das Repository läuft schon: 100 %")


async def test_a_bug_in_an_answerer_is_told_without_its_details(bus: Bus) -> None:
    async def bug(asked: RequestScan) -> ScanTicket:
        raise KeyError("secret")

    async with bus.answer(RequestScan, bug):
        with pytest.raises(Refused, match="see the log of differ") as refused:
            await bus.ask(RequestScan(repository_id="r"))
    assert refused.value.code == "internal"
    assert "secret" not in refused.value.reason


async def test_not_now_is_a_refusal_too(bus: Bus) -> None:
    async def later(asked: RequestScan) -> ScanTicket:
        raise Retry("PostgreSQL went away")

    async with bus.answer(RequestScan, later):
        with pytest.raises(Refused) as refused:
            await bus.ask(RequestScan(repository_id="r"))
    assert refused.value.code == "unavailable"


async def test_a_malformed_question_names_its_field(bus: Bus) -> None:
    question = RequestScan.model_construct(repository_id="not a token!")

    async with bus.answer(RequestScan, a_ticket):
        with pytest.raises(Refused, match="repository_id") as refused:
            await bus.ask(question)
    assert refused.value.code == "bad_question"


async def test_nobody_there_is_no_answer_at_once(bus: Bus) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NoAnswer):
            await bus.ask(DescribeEngines(), timeout=2 * PATIENCE)


async def test_too_slow_is_no_answer(bus: Bus) -> None:
    async def never(asked: DescribeEngines) -> Model:
        await asyncio.sleep(PATIENCE)
        return Engines(engines={})

    with pytest.raises(NoAnswer):
        async with asyncio.timeout(PATIENCE), bus.answer(DescribeEngines, never):
            await bus.ask(DescribeEngines(), timeout=0.05)


async def test_after_leaving_nobody_answers(bus: Bus) -> None:
    async with bus.answer(RequestScan, a_ticket):
        await bus.ask(RequestScan(repository_id="r"))
    with pytest.raises(NoAnswer):
        await bus.ask(RequestScan(repository_id="r"), timeout=1)


async def test_one_replica_answers_each_question(bus: Bus) -> None:
    answered = []

    async def count(asked: RequestScan) -> ScanTicket:
        answered.append(asked.repository_id)
        return await a_ticket(asked)

    async with bus.answer(RequestScan, count), bus.answer(RequestScan, count):
        for number in range(20):
            await bus.ask(RequestScan(repository_id=f"r{number}"))
    assert sorted(answered) == sorted(f"r{number}" for number in range(20))


async def test_questions_are_answered_side_by_side(bus: Bus) -> None:
    together = asyncio.Barrier(10)

    async def meet(asked: RequestScan) -> ScanTicket:
        await together.wait()
        return await a_ticket(asked)

    async with bus.answer(RequestScan, meet), asyncio.timeout(PATIENCE):
        await asyncio.gather(*(bus.ask(RequestScan(repository_id="r"), timeout=PATIENCE) for _ in range(10)))
