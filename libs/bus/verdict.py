"""What becomes of a delivered message: the handler's answer turned into an acknowledgement, a delay or a burial.

Both buses deliver through this file, so that a handler is treated the same on either.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog
from opentelemetry import context as trace_context
from opentelemetry import propagate

from libs.bus.api import BatchHandler, Consumer, Delivery, Exhausted, Handler, Reject, Retry
from libs.events.catalog import Unreadable, decode

log = structlog.get_logger(__name__)

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
REMEMBERED = 10_000


class Held(Protocol):
    """One message in hand. It is answered once, without waiting; the transport says when the answer has arrived."""

    @property
    def subject(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def published_at(self) -> datetime | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def payload(self) -> bytes: ...

    def ack(self) -> None:
        """Done."""

    def nak(self, delay: float) -> None:
        """Deliver it again after so many seconds."""

    def terminate(self, reason: str) -> None:
        """Never deliver it again."""

    def working(self) -> None:
        """Still at it: keep it from being taken for lost."""


class Morgue(Protocol):
    """Keeps dead letters, and counts how often a message was begun and never ended."""

    async def bury(self, held: Held, *, consumer: str, reason: str, attempts: int, error: str) -> None:
        """Keep the message for a person; returns when it is stored."""

    async def begun(self, consumer: str, sequence: int) -> int:
        """Count one more beginning; how many there were before without an end."""

    async def ended(self, consumer: str, sequence: int) -> None:
        """Forget the beginnings."""


class Verdict:
    """Judges the messages of one subscription. Failures that are bugs are counted per message, in this process."""

    def __init__(self, consumer: Consumer, morgue: Morgue, exhausted: Exhausted | None = None) -> None:
        self._consumer = consumer
        self._morgue = morgue
        self._exhausted = exhausted
        self._failures: OrderedDict[int, int] = OrderedDict()

    def wants_to_be_alone(self, held: Held) -> bool:
        """Whether the message failed here before, or may have ended the process that had it."""
        return self._failures.get(held.sequence, 0) > 0 or self._is_suspect(held)

    async def one(self, held: Held, handler: Handler) -> None:
        """Run the handler for one message and answer for it."""
        try:
            delivery = await self._read(held)
            if delivery is not None:
                bind(delivery, self._consumer.name)
                await self._try_with_care(held, delivery, handler)
        except asyncio.CancelledError:
            held.nak(0)
            raise
        except Exception:
            log.exception("verdict_failed", consumer=self._consumer.name, subject=held.subject)
            held.nak(LONGEST_DELAY)

    async def many(self, batch: Sequence[Held], handler: BatchHandler) -> None:
        """Run the handler for a batch; when it rejects or fails, for each member by itself."""
        try:
            readable = [(held, delivery) for held in batch if (delivery := await self._read(held)) is not None]
            if readable:
                await self._try_together(readable, handler)
        except asyncio.CancelledError:
            for held in batch:
                held.nak(0)
            raise
        except Exception:
            log.exception("verdict_failed", consumer=self._consumer.name, messages=len(batch))
            for held in batch:
                held.nak(LONGEST_DELAY)

    async def _read(self, held: Held) -> Delivery | None:
        try:
            fact = decode(held.headers.get("ce-type"), held.payload)
        except Unreadable as error:
            await self._bury(held, f"unreadable: {error}", traceback.format_exc())
            return None
        return Delivery(
            fact=fact,
            subject=held.subject,
            sequence=held.sequence,
            attempt=held.attempt,
            published_at=held.published_at,
            headers=held.headers,
        )

    def _is_suspect(self, held: Held) -> bool:
        return held.attempt > self._consumer.max_attempts and held.sequence not in self._failures

    async def _try_with_care(self, held: Held, delivery: Delivery, handler: Handler) -> None:
        if not self._is_suspect(held):
            await self._try(held, delivery, handler)
            return
        # Delivered again and again without an end that this process has seen: it may be what kills processes.
        if await self._morgue.begun(self._consumer.name, held.sequence) >= self._consumer.max_attempts:
            await self._give_up(held, delivery, "the process ended each time while it was handled", "")
            return
        self._remember(held, 0)
        await self._try(held, delivery, handler)
        await self._morgue.ended(self._consumer.name, held.sequence)

    async def _try(self, held: Held, delivery: Delivery, handler: Handler) -> None:
        try:
            await handler(delivery)
        except Retry as retry:
            self._postpone(held, retry)
        except Reject as rejection:
            await self._bury(held, rejection.reason, traceback.format_exc())
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end its consumer
            await self._fail(held, delivery, error)
        else:
            self._finish(held)

    async def _try_together(self, batch: Sequence[tuple[Held, Delivery]], handler: BatchHandler) -> None:
        async def alone(delivery: Delivery) -> None:
            await handler([delivery])

        try:
            await handler([delivery for _, delivery in batch])
        except Retry as retry:
            for held, _ in batch:
                self._postpone(held, retry)
        except Exception as error:  # noqa: BLE001 - a handler's bug must not end its consumer
            log.warning("batch_taken_apart", consumer=self._consumer.name, size=len(batch), error=_in_short(error))
            for held, delivery in batch:
                await self._try(held, delivery, alone)
        else:
            for held, _ in batch:
                self._finish(held)

    def _finish(self, held: Held) -> None:
        self._failures.pop(held.sequence, None)
        held.ack()

    def _postpone(self, held: Held, retry: Retry) -> None:
        self._remember(held, self._failures.get(held.sequence, 0))
        log.debug("delivery_postponed", sequence=held.sequence, reason=retry.reason, after=retry.after)
        held.nak(retry.after)

    async def _fail(self, held: Held, delivery: Delivery, error: Exception) -> None:
        failures = self._failures.get(held.sequence, 0) + 1
        self._remember(held, failures)
        log.error(
            "handler_failed",
            consumer=self._consumer.name,
            subject=held.subject,
            sequence=held.sequence,
            failures=failures,
            error=_in_short(error),
            exc_info=error if failures == 1 else None,
        )
        if failures >= self._consumer.max_attempts:
            await self._give_up(held, delivery, _in_short(error), "".join(traceback.format_exception(error)))
        else:
            held.nak(min(FIRST_DELAY * 4 ** (failures - 1), LONGEST_DELAY))

    async def _give_up(self, held: Held, delivery: Delivery, reason: str, error: str) -> None:
        if self._exhausted is None:
            await self._bury(held, reason, error)
            return
        try:
            await self._exhausted(delivery, reason)
        except Retry as retry:
            self._postpone(held, retry)
        except Exception as failure:
            log.exception("exhausted_failed", consumer=self._consumer.name, subject=held.subject)
            await self._bury(held, f"{reason}; then giving it up failed: {_in_short(failure)}", error)
        else:
            log.warning("delivery_exhausted", consumer=self._consumer.name, subject=held.subject, reason=reason)
            self._finish(held)

    async def _bury(self, held: Held, reason: str, error: str) -> None:
        attempts = max(held.attempt, self._failures.pop(held.sequence, 0))
        await self._morgue.bury(held, consumer=self._consumer.name, reason=reason, attempts=attempts, error=error)
        log.warning("delivery_given_up", consumer=self._consumer.name, subject=held.subject, reason=reason)
        held.terminate(reason)

    def _remember(self, held: Held, failures: int) -> None:
        self._failures[held.sequence] = failures
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)


def bind(delivery: Delivery, consumer: str) -> None:
    """Make the fact's ids part of every log line, and its trace the current one, for the rest of this task."""
    fact = delivery.fact
    structlog.contextvars.bind_contextvars(
        consumer=consumer, repository_id=fact.repository_id, scan_id=fact.scan_id, sequence=delivery.sequence
    )
    if "traceparent" in delivery.headers:
        trace_context.attach(propagate.extract(delivery.headers))


def _in_short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
