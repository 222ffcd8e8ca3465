"""The differ: answers for repositories and scans, lists what was requested, minds the queues of scans."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

from libs.bus.api import Bus, Consumer
from libs.db.database import insist, open_database
from libs.db.migrations import migrate
from libs.events.differ import ScanRequested
from libs.events.envelope import Model
from libs.events.ledger import ScanCancelled, ScanCompleted, ScanHalted, ScanResumed
from libs.events.subjects import pattern
from libs.questions.differ import (
    ChangeRepository,
    GetScanTicket,
    ListRepositories,
    RegisterRepository,
    RemoveRepository,
    RequestScan,
)
from libs.questions.envelope import Question
from libs.runtime.serve import Checks, serve
from libs.runtime.tasks import beside
from services.differ.clients.mirror import GitMirrors
from services.differ.domain.scan_settings import Rules
from services.differ.handlers import following, listing, requests
from services.differ.handlers.desk import Desk
from services.differ.settings import Settings
from services.differ.store import PostgresRepositories

REQUESTS = Consumer(name="differ-requests", filters=(pattern(ScanRequested.token),), max_in_flight=4)
STATES = Consumer(
    name="differ-states",
    filters=(
        *(pattern(fact.token) for fact in (ScanCancelled, ScanCompleted)),
        *(pattern(fact.token, keyed=True) for fact in (ScanHalted, ScanResumed)),
    ),
)
ANSWERS: dict[type[Question[Any]], Callable[[Desk, Any], Awaitable[Model]]] = {
    RegisterRepository: requests.register_repository,
    ListRepositories: requests.list_repositories,
    ChangeRepository: requests.change_repository,
    RemoveRepository: requests.remove_repository,
    RequestScan: requests.request_scan,
    GetScanTicket: requests.scan_ticket,
}


@contextlib.asynccontextmanager
async def open_differ(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """Hear requests and the states of scans, answer, and keep the schedule until left."""
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        database = await stack.enter_async_context(
            open_database(url, "differ", connections=settings.database_connections)
        )
        await migrate(database, "services.differ")
        desk = Desk(
            bus=bus,
            blobs=await bus.bucket("blobs", ttl=timedelta(days=settings.blob_days)),
            mirrors=GitMirrors(
                settings.mirrors,
                protocols=settings.protocols,
                environment={name: os.environ[name] for name in settings.git_environment if name in os.environ},
            ),
            store=PostgresRepositories(database),
            rules=Rules(max_file_size=settings.max_file_size, exclude=settings.exclude),
            active_scans=settings.active_scans,
        )
        await insist(partial(requests.tell_untold, desk))
        for question, handler in ANSWERS.items():
            await stack.enter_async_context(bus.answer(question, partial(handler, desk)))
        await stack.enter_async_context(
            bus.consume(REQUESTS, partial(listing.list_scan, desk), exhausted=partial(listing.give_up, desk))
        )
        await stack.enter_async_context(bus.consume(STATES, partial(following.follow_state, desk)))
        await stack.enter_async_context(beside(schedule=partial(keep_schedule, desk)))
        yield {"database": database.reachable}


async def keep_schedule(desk: Desk, *, every: float = 1.0) -> None:
    """Request what is due, once a second, until cancelled."""
    while True:
        await asyncio.sleep(every)
        await requests.request_due(desk)


def main() -> None:
    serve("differ", Settings, open_differ)


if __name__ == "__main__":
    main()
