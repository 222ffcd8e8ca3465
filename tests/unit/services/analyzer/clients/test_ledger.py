"""Asking the ledger for room, whatever happens to its answers."""

from __future__ import annotations

import asyncio

import pytest

from libs.bus.api import Refused, Retry
from libs.bus.memory import MemoryBus
from libs.events.differ import FileQueued
from libs.questions.ledger import Reservation, Reserve
from services.analyzer.clients import ledger
from services.analyzer.clients.ledger import LedgerMeter

QUEUED = FileQueued(repository_id="r", scan_id="s", key="0" * 16, path="a", content_hash="c", size=1)


class Forgetful:
    """A ledger whose first answers get lost."""

    def __init__(self, lost: int, answer: Reservation | Refused | None = None) -> None:
        self.asked: list[Reserve] = []
        self._lost = lost
        self._answer = answer or Reservation(granted=True)

    async def __call__(self, question: Reserve) -> Reservation:
        self.asked.append(question)
        if len(self.asked) <= self._lost:
            await asyncio.Event().wait()
        if isinstance(self._answer, Refused):
            raise self._answer
        return self._answer


class ImpatientBus(MemoryBus):
    """Waits for no answer longer than a moment."""

    async def ask(self, question, *, timeout=5.0):  # type: ignore[no-untyped-def]
        return await super().ask(question, timeout=0.01)


@pytest.fixture(autouse=True)
def _ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ASKED_AGAIN", 0.001)


async def test_an_answer_that_was_lost_is_asked_for_under_the_same_number() -> None:
    bus, books = ImpatientBus(), Forgetful(lost=2)
    async with bus.answer(Reserve, books):
        await LedgerMeter(bus).reserve(QUEUED, 10)

    assert len(books.asked) == 3
    assert len({question.attempt for question in books.asked}) == 1


async def test_every_attempt_has_a_number_of_its_own() -> None:
    bus, books = MemoryBus(), Forgetful(lost=0)
    async with bus.answer(Reserve, books):
        await LedgerMeter(bus).reserve(QUEUED, 10)
        await LedgerMeter(bus).reserve(QUEUED, 10)

    assert len({question.attempt for question in books.asked}) == 2


@pytest.mark.parametrize("answer", [Reservation(granted=False, reason="no room"), Refused("not yet")])
async def test_what_the_ledger_does_not_grant_is_tried_later(answer: Reservation | Refused) -> None:
    bus = MemoryBus()
    async with bus.answer(Reserve, Forgetful(0, answer)):
        with pytest.raises(Retry):
            await LedgerMeter(bus).reserve(QUEUED, 10)


async def test_without_a_ledger_nothing_is_spent() -> None:
    with pytest.raises(Retry, match="no ledger"):
        await LedgerMeter(MemoryBus()).reserve(QUEUED, 10)
