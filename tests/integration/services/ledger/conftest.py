"""A ledger's desk on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from libs.bus.api import Bus
from libs.db.database import Database, open_database
from libs.db.migrations import migrate
from services.ledger.handlers import Desk
from services.ledger.store.books import PostgresBooks
from tests.integration.services.ledger.scene import Clock, RecordingBus


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, "ledger", connections=10) as database:
        await migrate(database, "services.ledger")
        yield database


@pytest.fixture
def bus() -> RecordingBus:
    return RecordingBus()


@pytest.fixture
def desk(database: Database, bus: RecordingBus) -> Desk:
    return Desk(books=PostgresBooks(database), bus=cast(Bus, bus), clock=Clock())
