"""Scans: how far they are, following one live, and a person's word on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse
from pydantic import Field

from libs.bus.api import Bus, NoAnswer, Refused
from libs.events.envelope import Model, Ticks
from libs.events.reviewer import ReviewCompleted
from libs.questions.differ import GetScanTicket, ScanTicket
from libs.questions.ledger import (
    CancelScan,
    FinishScan,
    GetProgress,
    ListAccounted,
    ListScans,
    PauseScan,
    Progress,
    ResumeScan,
    Scans,
)
from libs.questions.reviewer import GetReview, ReviewAgain
from libs.runtime.tasks import beside
from services.console.http.bus import OnBus
from services.console.http.sse import STREAMED, Event, Stopping, event_stream

router = APIRouter(prefix="/scans", tags=["scans"])

UPDATE_SECONDS = 0.1
"""No more than ten updates a second reach a follower."""
QUIET_SECONDS = 2.0
"""A follower hears at least this often, should a nudge have been missed."""
LISTING_SECONDS = 0.2
"""Nobody shouts while a repository is listed, or cannot be."""


class Budget(Model):
    budget_ticks: Ticks | None = Field(None, ge=0)


@router.get("")
async def list_scans(
    bus: OnBus, repository_id: str | None = None, active: bool = False, limit: int = Query(50, ge=1, le=500)
) -> Scans:
    return await bus.ask(ListScans(repository_id=repository_id, active=active, limit=limit))


@router.get("/{scan_id}")
async def get_scan(scan_id: str, bus: OnBus) -> Progress:
    return await bus.ask(GetProgress(scan_id=scan_id))


@router.get("/{scan_id}/ticket")
async def get_ticket(scan_id: str, bus: OnBus) -> ScanTicket:
    return await bus.ask(GetScanTicket(scan_id=scan_id))


@router.post("/{scan_id}/pause")
async def pause_scan(scan_id: str, bus: OnBus) -> Progress:
    return await bus.ask(PauseScan(scan_id=scan_id))


@router.post("/{scan_id}/resume")
async def resume_scan(scan_id: str, budget: Budget, bus: OnBus) -> Progress:
    return await bus.ask(ResumeScan(scan_id=scan_id, budget_ticks=budget.budget_ticks))


@router.post("/{scan_id}/cancel")
async def cancel_scan(scan_id: str, bus: OnBus) -> Progress:
    return await bus.ask(CancelScan(scan_id=scan_id))


@router.post("/{scan_id}/finish")
async def finish_scan(scan_id: str, bus: OnBus) -> Progress:
    return await bus.ask(FinishScan(scan_id=scan_id))


@router.get("/{scan_id}/review")
async def get_review(scan_id: str, bus: OnBus) -> ReviewCompleted:
    return await bus.ask(GetReview(scan_id=scan_id), timeout=30)


@router.post("/{scan_id}/review")
async def review_again(scan_id: str, bus: OnBus) -> ReviewCompleted:
    return await bus.ask(ReviewAgain(scan_id=scan_id), timeout=120)


@router.get("/{scan_id}/follow", response_model=None, responses=STREAMED)
async def follow_scan(
    scan_id: str, bus: OnBus, stopping: Stopping, after: Annotated[int, Query(ge=0)] = 0
) -> EventSourceResponse:
    """Server-sent events until the scan is reviewed: ``ticket``, ``progress``, ``files`` (outcomes after the ordinal
    ``after``), ``in_hand``, and at last ``review``."""
    return event_stream(_following(bus, scan_id, after), stopping)


async def _following(bus: Bus, scan_id: str, after: int) -> AsyncGenerator[Event, None]:
    nudge = _Nudge()
    async with bus.overhear(f"live.*.{scan_id}") as heard, beside(nudges=partial(nudge.pass_on, heard)):
        async for event in _events(bus, scan_id, after, nudge):
            yield event


class _Nudge:
    """Wakes a follower when something was shouted, and keeps the last word on what is in hand."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()
        self.in_hand: bytes | None = None

    async def pass_on(self, heard: AsyncIterator[tuple[str, bytes]]) -> None:
        async for subject, payload in heard:
            if subject.startswith("live.analyzer."):
                self.in_hand = payload
            self._happened.set()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._happened.wait()
        except TimeoutError:
            return
        finally:
            self._happened.clear()


async def _events(bus: Bus, scan_id: str, after: int, nudge: _Nudge) -> AsyncIterator[Event]:
    ticket: ScanTicket | None = None
    shown: Progress | None = None
    while True:
        latest = await _ask(bus, GetScanTicket(scan_id=scan_id))
        if latest is not None and latest != ticket:
            ticket = latest
            yield _event("ticket", latest)
            if latest.state == "failed":
                return
        progress: Progress | None = await _ask(bus, GetProgress(scan_id=scan_id))
        while accounted := await _outcomes(bus, scan_id, after):
            after = accounted.files[-1].ordinal
            yield _event("files", accounted, id=str(after))
        if progress is not None and progress != shown:
            shown = progress
            yield _event("progress", progress)
        if nudge.in_hand is not None:
            yield Event(name="in_hand", data=nudge.in_hand.decode())
            nudge.in_hand = None
        if progress is not None and progress.state in ("completed", "cancelled"):
            review = await _ask(bus, GetReview(scan_id=scan_id))
            if review is not None:
                yield _event("review", review)
                return
            await asyncio.sleep(UPDATE_SECONDS / 2)
            continue
        await asyncio.sleep(UPDATE_SECONDS)
        await nudge.wait(QUIET_SECONDS if progress is not None and progress.started_at else LISTING_SECONDS)


async def _outcomes(bus: Bus, scan_id: str, after: int) -> Any:
    accounted = await _ask(bus, ListAccounted(scan_id=scan_id, after=after, limit=1000))
    return accounted if accounted is not None and accounted.files else None


async def _ask(bus: Bus, question: Any) -> Any:
    """The answer, or None while there is none yet; a service that is away is asked again with the next update."""
    try:
        return await bus.ask(question)
    except (NoAnswer, Refused):
        return None


def _event(name: str, data: Model, *, id: str | None = None) -> Event:
    return Event(name=name, data=data.model_dump_json(), id=id)
