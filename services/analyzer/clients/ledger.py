"""Asking the ledger for room in the budget."""

from __future__ import annotations

import asyncio
import secrets

from libs.bus.api import Bus, NoAnswer, Refused, Retry
from libs.events.differ import FileQueued
from libs.questions.ledger import Reservation, Reserve

ASKED_AGAIN = 0.5
MOST_ASKED = 20
ROOM_AGAIN = 5.0
"""Seconds after which a file that found no room is offered again; its scan's consumer is paused meanwhile."""


class LedgerMeter:
    """Reserves over the bus. Every attempt has an id of its own: a crash must not let two share one reservation."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def reserve(self, queued: FileQueued, ticks: int) -> None:
        question = Reserve(
            repository_id=queued.repository_id,
            scan_id=queued.scan_id,
            key=queued.key,
            attempt=secrets.randbits(31) + 1,
            ticks=ticks,
        )
        reservation = await self._ask(question)
        if not reservation.granted:
            raise Retry(reservation.reason, after=ROOM_AGAIN)

    async def _ask(self, question: Reserve) -> Reservation:
        """An answer may be lost on its way. Asked for under the same number the money is set aside once; under
        another one the first would stay set aside for a call that nobody makes.
        """
        for _ in range(MOST_ASKED):
            try:
                return await self._bus.ask(question)
            except NoAnswer:
                await asyncio.sleep(ASKED_AGAIN)
            except Refused as error:
                raise Retry(error.reason, after=1.0) from error
        raise Retry("the ledger does not answer; no ledger, no spending", after=1.0)
