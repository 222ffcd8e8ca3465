"""The pool against a real PostgreSQL that goes away and comes back."""

from __future__ import annotations

from libs.db.database import open_database


async def test_what_a_transaction_wrote_is_there_for_the_next(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE kept (n integer); INSERT INTO kept VALUES (7)")

        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT n FROM ledger.kept") == 7
