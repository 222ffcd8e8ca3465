"""The ledger's process: counts every scan's outcomes and holds the money."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from libs.bus.api import Bus, Consumer
from libs.db.database import insist, open_database
from libs.db.migrations import migrate
from libs.events.analyzer import FileAnalyzed, FileFailed
from libs.events.differ import FileRemoved, FileSkipped, ScanFailed, ScanRequested, ScanStarted
from libs.events.envelope import Model
from libs.events.reviewer import ReviewCompleted
from libs.events.subjects import pattern
from libs.questions.envelope import Question
from libs.questions.ledger import (
    CancelScan,
    FinishScan,
    GetCost,
    GetProgress,
    ListAccounted,
    ListScans,
    PauseScan,
    Reserve,
    ResumeScan,
)
from libs.runtime.serve import Checks, serve
from services.ledger import handlers
from services.ledger.settings import Settings
from services.ledger.store.books import PostgresBooks

HEARD = (
    *(pattern(fact.token) for fact in (ScanRequested, ScanStarted, ScanFailed, ReviewCompleted)),
    *(pattern(fact.token, keyed=True) for fact in (FileSkipped, FileRemoved, FileAnalyzed, FileFailed)),
)
ANSWERS: dict[type[Question[Any]], Callable[[handlers.Desk, Any], Awaitable[Model]]] = {
    GetProgress: handlers.get_progress,
    ListScans: handlers.list_scans,
    ListAccounted: handlers.list_accounted,
    PauseScan: handlers.pause_scan,
    ResumeScan: handlers.resume_scan,
    CancelScan: handlers.cancel_scan,
    FinishScan: handlers.finish_scan,
    Reserve: handlers.reserve,
    GetCost: handlers.get_cost,
}


@contextlib.asynccontextmanager
async def open_ledger(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """Hear the facts and answer for the money until left."""
    consumer = Consumer(
        name="ledger", filters=HEARD, max_in_flight=2 * settings.batch, max_ack_pending=20 * settings.batch
    )
    async with contextlib.AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        database = await stack.enter_async_context(
            open_database(url, "ledger", connections=settings.database_connections)
        )
        await migrate(database, "services.ledger")
        books = PostgresBooks(database)
        await insist(partial(books.set_budgets, settings.budgets))
        desk = handlers.Desk(books=books, bus=bus)
        await insist(partial(handlers.tell_untold, desk))
        for question, handler in ANSWERS.items():
            await stack.enter_async_context(bus.answer(question, partial(handlers.patiently, handler, desk)))
        account = partial(handlers.account_facts, desk)
        await stack.enter_async_context(bus.consume_batches(consumer, account, most=settings.batch))
        yield {"database": database.reachable}


def main() -> None:
    serve("ledger", Settings, open_ledger)


if __name__ == "__main__":
    main()
