"""The reviewer's process: two consumers, four questions, one database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

from libs.bus.api import Bus, Consumer
from libs.db.database import open_database
from libs.db.migrations import migrate
from libs.events.analyzer import FileAnalyzed
from libs.events.differ import FileRemoved, FileSkipped, ScanStarted
from libs.events.ledger import ScanCompleted
from libs.events.subjects import pattern
from libs.questions.reviewer import GetReview, ListFindings, ListTasks, ReviewAgain
from libs.runtime.serve import Checks, serve
from services.reviewer import handlers
from services.reviewer.settings import Settings
from services.reviewer.store import PostgresReadModel

FILES = tuple(pattern(fact.token, keyed=True) for fact in (FileAnalyzed, FileRemoved, FileSkipped))
SCANS = tuple(pattern(fact.token) for fact in (ScanStarted, ScanCompleted))


@contextlib.asynccontextmanager
async def open_reviewer(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """Listen and answer until the context is left."""
    url, most = settings.database_url.get_secret_value(), settings.batch
    files = Consumer(name="reviewer", filters=FILES, max_in_flight=2 * most, max_ack_pending=20 * most)
    scans = Consumer(name="reviewer-scans", filters=SCANS, max_in_flight=2)
    async with open_database(url, "reviewer", connections=settings.database_connections) as database:
        await migrate(database, "services.reviewer")
        reviewer = handlers.Reviewer(model=PostgresReadModel(database), bus=bus, most_tasks=settings.most_tasks)
        again = partial(handlers.review_again, reviewer, now=partial(datetime.now, UTC))
        async with (
            bus.answer(GetReview, handlers.patient(partial(handlers.get_review, reviewer))),
            bus.answer(ReviewAgain, handlers.patient(again)),
            bus.answer(ListTasks, handlers.patient(partial(handlers.list_tasks, reviewer))),
            bus.answer(ListFindings, handlers.patient(partial(handlers.list_findings, reviewer))),
            bus.consume_batches(files, partial(handlers.take_in, reviewer), most=most),
            bus.consume(scans, partial(handlers.follow_scan, reviewer)),
        ):
            yield {"database": database.reachable}


def main() -> None:
    serve("reviewer", Settings, open_reviewer)


if __name__ == "__main__":
    main()
