"""Both embedded servers, up together and down together."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from services.standalone.embedded.account import choose_account
from services.standalone.embedded.failure import EmbeddedFailed, explained
from services.standalone.embedded.nats import NatsStore
from services.standalone.embedded.postgres import PostgresStore, create_roles, open_store
from services.standalone.embedded.supervisor import keep_running

FREE_BYTES = 100_000_000
"""Below this a new cluster, its write-ahead log and a scan do not fit."""


@dataclass(frozen=True)
class Servers:
    """Where the running servers are. Addresses and credentials stay the same when one of them is restarted."""

    nats: NatsStore
    postgres: PostgresStore

    @property
    def nats_url(self) -> str:
        """With its password: not for logs."""
        return self.nats.url

    def database_url(self, role: str) -> str:
        """For a service's own role; its schema has the same name."""
        return self.postgres.url(role)


@contextlib.asynccontextmanager
async def embedded_servers(data_dir: Path) -> AsyncIterator[Servers]:
    """NATS and PostgreSQL on this directory, which the caller holds (``hold_directory``), until the block is left.

    A server that dies is started again on the same address. When that is hopeless the block is cancelled.

    Raises:
        EmbeddedFailed: a server cannot be started or kept running.
    """
    nats, postgres = _open_stores(data_dir)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run_nats(nats, up := asyncio.Event()))]
            tasks.append(group.create_task(_run_postgres(postgres, also_up := asyncio.Event())))
            await up.wait()
            await also_up.wait()
            await create_roles(postgres)
            try:
                yield Servers(nats, postgres)
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        # A task group wraps what leaves it, the caller's own exceptions too.
        first = next((error for error in errors.exceptions if isinstance(error, EmbeddedFailed)), errors.exceptions[0])
        raise first from first.__cause__
    finally:
        postgres.leave()


async def _run_nats(store: NatsStore, up: asyncio.Event) -> None:
    with explained(store.directory):
        await keep_running(store.server(), up)


async def _run_postgres(store: PostgresStore, up: asyncio.Event) -> None:
    with explained(store.directory):
        await store.create()
        await keep_running(store.server(), up)


def _open_stores(data_dir: Path) -> tuple[NatsStore, PostgresStore]:
    with explained(data_dir):
        _check_space(data_dir)
        account = choose_account(data_dir / "postgres" / "cluster")
        return NatsStore(data_dir.resolve() / "nats"), open_store(data_dir.resolve() / "postgres", account)


def _check_space(data_dir: Path) -> None:
    free = shutil.disk_usage(data_dir).free
    if free < FREE_BYTES:
        raise EmbeddedFailed(
            f"only {free // 1_000_000} MB are free for {data_dir}; {FREE_BYTES // 1_000_000} are needed"
        )
