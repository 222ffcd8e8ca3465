"""A ledger's desk on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.db.database import Database, open_database
from libs.db.migrations import migrate
from services.ledger.handlers import Desk
from services.ledger.store.books import PostgresBooks
from tests.integration.services.ledger.scene import Clock, MortalBus


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, "ledger", connections=10) as database:
        await migrate(database, "services.ledger")
        yield database


@pytest.fixture
def bus() -> MortalBus:
    return MortalBus()


@pytest.fixture
def desk(database: Database, bus: MortalBus) -> Desk:
    return Desk(books=PostgresBooks(database), bus=bus, clock=Clock())
