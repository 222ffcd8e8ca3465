"""A dead letter in hand once more. It stays among the dead until it is done; given up again, it is replaced there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog

from libs.bus.hand import Batches, Singles

log = structlog.get_logger(__name__)


class Redriven:
    """``remove`` takes it from the dead ones, ``tell`` reports ``done``, ``later`` or ``dead`` to who redrove it."""

    def __init__(
        self,
        intake: Singles | Batches,
        *,
        subject: str,
        sequence: int,
        headers: Mapping[str, str],
        payload: bytes,
        remove: Callable[[], Awaitable[None]],
        tell: Callable[[str], None],
    ) -> None:
        self._intake = intake
        self._remove = remove
        self._tell = tell
        self._answered = False
        self._removal: asyncio.Task[None] | None = None
        self.subject = subject
        self.sequence = sequence
        self.headers = headers
        self.payload = payload
        self.attempt = 1
        self.published_at: datetime | None = datetime.now(UTC)

    def ack(self) -> None:
        if self._answer():
            self._removal = asyncio.create_task(self._finish())

    def nak(self, delay: float) -> None:
        if self._answer():
            self._settle("later")
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, self._again)

    def terminate(self, reason: str) -> None:
        if self._answer():
            self._settle("dead")

    def working(self) -> None:
        """Nobody else would get it."""

    def _answer(self) -> bool:
        first, self._answered = not self._answered, True
        return first

    def _again(self) -> None:
        self._answered = False
        self._intake.deliver(self)

    async def _finish(self) -> None:
        try:
            await self._remove()
        except Exception:
            log.exception("dead_letter_stays", subject=self.subject)
        finally:
            self._settle("done")

    def _settle(self, outcome: str) -> None:
        self._tell(outcome)
        self._intake.hand.settled(self)
