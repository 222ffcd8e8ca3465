"""The pool against a real PostgreSQL that goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import asyncpg
import pytest
import structlog

from libs.bus.api import Retry
from libs.db.database import Database, insist, open_database
from tests.servers.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed."""
    with running_postgres() as server:
        yield server


async def terminate_others(url: str) -> None:
    admin = await asyncpg.connect(url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    await admin.close()


async def answer_of(database: Database) -> int:
    async with database.transaction() as connection:
        return int(await connection.fetchval("SELECT 42"))


async def run(database: Database, *steps: str | Callable[[], Awaitable[None]]) -> None:
    """SQL and other things, one after the other inside one transaction."""
    async with database.transaction() as connection:
        for step in steps:
            await (connection.execute(step) if isinstance(step, str) else step())


async def test_what_a_transaction_wrote_is_there_for_the_next(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE kept (n integer); INSERT INTO kept VALUES (7)")

        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT n FROM ledger.kept") == 7


async def test_a_transaction_that_fails_wrote_nothing(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await run(database, "CREATE TABLE kept (n integer)", "SELECT 1 / 0")

        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT to_regclass('ledger.kept')") is None


async def test_a_transaction_waits_while_the_server_is_away(server: PostgresServer) -> None:
    async with open_database(server.url, "public") as database:
        server.kill()
        with structlog.testing.capture_logs() as logs:
            waiting = asyncio.create_task(answer_of(database))
            await asyncio.to_thread(server.start)

            assert await waiting == 42
        assert [log["event"] for log in logs] == ["database_unreachable", "database_back"]


async def test_opening_waits_until_the_server_is_there(server: PostgresServer) -> None:
    server.stop()
    starting = asyncio.create_task(asyncio.to_thread(server.start))

    async with open_database(server.url, "public") as database:
        assert await answer_of(database) == 42
    await starting


async def test_opening_gives_up_when_its_patience_ends(server: PostgresServer) -> None:
    server.stop()
    try:
        with pytest.raises(OSError, match=r"No such file|refused"):
            async with open_database(server.url, "public", patience=0):
                pass
    finally:
        await asyncio.to_thread(server.start)


async def test_connections_that_broke_while_idle_are_replaced_unseen(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        assert await answer_of(database) == 42
        await terminate_others(database_url)

        assert await answer_of(database) == 42


async def test_a_connection_that_breaks_in_a_transaction_means_retry(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        with pytest.raises(Retry):
            await run(database, partial(terminate_others, database_url), "SELECT 1")

        assert await answer_of(database) == 42


async def test_a_connection_that_breaks_before_the_commit_means_retry(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        with pytest.raises(Retry):
            async with database.transaction():
                await terminate_others(database_url)


async def test_a_server_that_is_killed_in_a_transaction_means_retry(server: PostgresServer) -> None:
    async with open_database(server.url, "public") as database:
        with pytest.raises(Retry):
            await run(database, partial(asyncio.to_thread, server.kill), "SELECT 1")

        await asyncio.to_thread(server.start)
        assert await answer_of(database) == 42


async def test_a_deadlock_means_retry_for_one_of_both(database_url: str) -> None:
    async with open_database(database_url, "ledger") as database:
        first_has_one, second_has_two = asyncio.Event(), asyncio.Event()

        async def take(mine: int, theirs: int, done: asyncio.Event, other: asyncio.Event) -> None:
            async with database.transaction() as connection:
                await connection.execute("SET LOCAL deadlock_timeout = '10ms'")
                await connection.execute("SELECT pg_advisory_xact_lock($1)", mine)
                done.set()
                await other.wait()
                await connection.execute("SELECT pg_advisory_xact_lock($1)", theirs)

        results = await asyncio.gather(
            take(1, 2, first_has_one, second_has_two),
            take(2, 1, second_has_two, first_has_one),
            return_exceptions=True,
        )

        assert [type(result) for result in results if result is not None] == [Retry]


@pytest.mark.parametrize("ours", [FileNotFoundError("a file of ours"), asyncpg.InterfaceError("a mistake of ours")])
async def test_errors_of_the_callers_own_are_not_taken_for_the_servers(database_url: str, ours: Exception) -> None:
    async with open_database(database_url, "ledger") as database:
        with pytest.raises(type(ours), match="of ours"):
            async with database.transaction():
                raise ours


async def test_a_url_that_is_wrong_is_not_waited_for() -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with open_database("postgresql://ledger@/ledger?sslmode=maybe", "ledger"):
            pass


async def test_a_server_that_is_away_is_not_reachable(server: PostgresServer) -> None:
    async with open_database(server.url, "public") as database:
        assert await database.reachable()
        server.kill()

        assert not await database.reachable()
        await asyncio.to_thread(server.start)


async def test_what_a_process_does_as_it_starts_is_done_until_it_succeeds() -> None:
    answers: list[Exception | str] = [Retry("away", after=0), Retry("contended", after=0), "done"]

    async def work() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await insist(work) == "done"
    assert answers == []
