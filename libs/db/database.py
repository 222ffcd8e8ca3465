"""A pool of connections to one service's own schema. A server that is away is waited for, not failed on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from libs.bus.api import Retry

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")
Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
)
"""What a server says, or leaves unsaid, that stops, starts or has no room.

InternalClientError is what asyncpg says of a connection whose farewell it has read but whose end it has not.
"""
UNREACHABLE = (*AWAY, OSError)
"""The same while connecting; OSError includes timeouts."""
STALE = (*UNREACHABLE, asyncpg.InterfaceError)
"""The same on a connection that may have broken while it was idle in the pool."""
CONTENDED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

FIRST_DELAY = 0.05


class Database:
    """One service's schema. Use ``transaction`` for everything; inside it plain asyncpg is spoken."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A connection inside a transaction that commits when the block is left without an exception.

        Waits for as long as the server cannot be reached.

        Raises:
            Retry: the server went away, or another transaction was in the way, before the commit was confirmed.
        """
        connection, transaction = await self._begin()
        broken = False
        try:
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(*STALE):
                    await transaction.rollback()
                raise
            await transaction.commit()
        except AWAY as error:
            broken = True
            raise Retry(f"PostgreSQL went away: {type(error).__name__}", after=0.5) from error
        except CONTENDED as error:
            raise Retry(f"PostgreSQL is contended: {type(error).__name__}", after=0.05) from error
        except (OSError, asyncpg.InterfaceError) as error:
            # These may as well come from the caller's own files, sockets or mistakes, which are not ours to answer.
            if not (_is_broken(connection) or isinstance(error, TimeoutError)):
                raise
            raise Retry(f"PostgreSQL went away: {type(error).__name__}", after=0.5) from error
        finally:
            await self._release(connection, broken=broken)

    async def reachable(self) -> bool:
        """Whether a query is answered just now; for readiness."""
        try:
            async with asyncio.timeout(2), self._pool.acquire() as connection:
                return bool(await connection.fetchval("SELECT true"))
        except STALE:
            return False

    async def _begin(self) -> tuple[asyncpg.pool.PoolConnectionProxy, asyncpg.transaction.Transaction]:
        """A connection with a transaction on it. Nothing has been said in it yet, so trying again is safe."""
        delay = FIRST_DELAY
        while True:
            try:
                begun = await self._try_to_begin()
            except STALE as error:
                if self._pool.is_closing():
                    raise
                if delay == FIRST_DELAY:
                    log.warning("database_unreachable", error=type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)
            else:
                if delay > FIRST_DELAY:
                    log.info("database_back")
                return begun

    async def _try_to_begin(self) -> tuple[asyncpg.pool.PoolConnectionProxy, asyncpg.transaction.Transaction]:
        connection = await self._pool.acquire()
        try:
            transaction = connection.transaction()
            await transaction.start()
        except BaseException as error:
            await self._release(connection, broken=isinstance(error, STALE))
            raise
        return connection, transaction

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy, *, broken: bool) -> None:
        with contextlib.suppress(*STALE):
            if broken:
                connection.terminate()
            await self._pool.release(connection)


async def insist(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do it until the database lets us: for what a process does as it starts, which nobody delivers again."""
    while True:
        try:
            return await work()
        except Retry as reason:
            await asyncio.sleep(reason.after)


def _is_broken(connection: asyncpg.pool.PoolConnectionProxy) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True  # The pool has taken it back, which it does when the server closed it.


@contextlib.asynccontextmanager
async def open_database(
    url: str, schema: str, *, connections: int = 5, patience: float | None = None
) -> AsyncIterator[Database]:
    """Open the pool with ``schema`` as search path; waits up to ``patience`` seconds (none: for ever) for the server.

    Raises:
        OSError, asyncpg.PostgresError: the server was not there in time, or refuses this user or database.
    """
    pool = await _create_pool(url, schema, connections=connections, patience=patience)
    try:
        yield Database(pool)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _create_pool(url: str, schema: str, *, connections: int, patience: float | None) -> asyncpg.Pool:
    # No connections are kept in stock: while the server is away asyncpg would log a traceback for each attempt.
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=connections,
        timeout=10,
        command_timeout=60,
        server_settings={"search_path": schema, "application_name": f"strandline-{schema}"},
    )
    try:
        await _reach(pool, patience=patience)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def _reach(pool: asyncpg.Pool, *, patience: float | None) -> None:
    started, said = asyncio.get_running_loop().time(), False
    while True:
        try:
            async with pool.acquire():
                return
        except UNREACHABLE as error:
            if patience is not None and asyncio.get_running_loop().time() - started > patience:
                raise
            if not said:
                said = True
                log.warning("database_unreachable", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(0.1)
