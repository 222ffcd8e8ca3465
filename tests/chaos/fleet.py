"""Every service a process of its own, with a NATS server and a PostgreSQL; what dies is started again at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

import asyncpg
import psutil

from tests.chaos.processes import Sightings, kill
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

PARALLEL = 8
SERVICES = {
    "differ": ("services.differ", 1),
    "ledger": ("services.ledger", 2),
    "reviewer": ("services.reviewer", 2),
    "analyzer": ("tests.chaos.paying_analyzer", 2),
}
SCHEMAS = ("differ", "ledger", "reviewer")
PAUSE = (0.1, 1.5)
STARTS = 20


class Mortal(Protocol):
    """Something that runs, can be killed, and is started again."""

    name: str

    async def live(self) -> None:
        """Run it once, to its end."""

    def kill(self) -> bool:
        """``kill -9``; whether there was anything to kill."""

    async def stop(self) -> None:
        """End it for good."""


class Service:
    """One replica of one service."""

    def __init__(self, name: str, module: str, environment: dict[str, str], log: Path, sightings: Sightings) -> None:
        self.name = name
        self.deaths: list[int] = []
        self.log = log
        self._module = module
        self._environment = environment
        self._sightings = sightings
        self._process: asyncio.subprocess.Process | None = None

    async def live(self) -> None:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.deaths.append(await self._process.wait())

    def kill(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        self._sightings.family(self._process.pid)
        kill(psutil.Process(self._process.pid))
        return True

    async def stop(self) -> None:
        if self._process is not None:
            for process in self._sightings.family(self._process.pid):
                kill(process)
            await self._process.wait()


class StoredServer:
    """NATS or PostgreSQL: its process is mortal, its store is not."""

    def __init__(self, name: str, server: NatsServer | PostgresServer) -> None:
        self.name = name
        self._server = server
        self._up = asyncio.Event()
        self._killed = asyncio.Event()

    async def live(self) -> None:
        await asyncio.to_thread(self._start)
        self._up.set()
        await self._killed.wait()

    def _start(self) -> None:
        """PostgreSQL does not start before the last backend of the one that was killed has noticed."""
        for _ in range(STARTS):
            with contextlib.suppress(RuntimeError):
                return self._server.start()
        return self._server.start()

    async def wait_up(self) -> None:
        await self._up.wait()

    def kill(self) -> bool:
        if not self._up.is_set():
            return False
        self._server.kill()
        self._up.clear()
        self._killed.set()
        self._killed = asyncio.Event()
        return True

    async def stop(self) -> None:
        self._server.stop()


@dataclass
class Fleet:
    """The running system, how to reach it, and how to hurt it."""

    nats_url: str
    postgres_url: str
    bill: Path
    services: list[Service]
    servers: list[StoredServer]
    kills: Counter[str] = field(default_factory=Counter)

    async def torment(self, random: Random, kills: int, enough: Callable[[], bool]) -> None:
        """Kill something at random now and then, until it was done so often or it is enough."""
        mortals: list[Mortal] = [*self.services, *self.servers]
        while self.kills.total() < kills and not enough():
            await asyncio.sleep(random.uniform(*PAUSE))
            victim = random.choice(mortals)
            if not enough() and victim.kill():
                self.kills[victim.name] += 1

    def check_nobody_gave_up(self) -> None:
        """Services die by being killed and by nothing else."""
        others = {each.name: each.deaths for each in self.services if set(each.deaths) - {-9}}
        assert others == {}, "\n".join(each.log.read_text()[-3000:] for each in self.services if each.name in others)

    def logs(self, size: int = 1500) -> str:
        """The last words of everybody, for a failure."""
        return "\n".join(f"== {each.name}\n{each.log.read_text()[-size:]}" for each in self.services)


@contextlib.asynccontextmanager
async def running_fleet(directory: Path, sightings: Sightings) -> AsyncIterator[Fleet]:
    """Everything up, each kept alive until the block is left; nothing is left running."""
    cluster = Path(tempfile.mkdtemp(prefix="strandline-pg-", dir="/tmp"))
    postgres = PostgresServer(cluster, synchronous_commit="on", full_page_writes="on")
    nats = NatsServer(directory)
    servers = [StoredServer("postgres", postgres), StoredServer("nats", nats)]
    keepers: list[asyncio.Task[None]] = []
    services: list[Service] = []
    try:
        await asyncio.to_thread(postgres.create)
        for server in servers:
            keepers.append(asyncio.create_task(_keep_alive(server)))
            await server.wait_up()
        await _make_schemas(postgres.url)
        environment = _environment(directory, nats.url, postgres.url)
        services = [
            Service(f"{name}-{number}", module, environment, directory / f"{name}-{number}.log", sightings)
            for name, (module, replicas) in SERVICES.items()
            for number in range(1, replicas + 1)
        ]
        keepers += [asyncio.create_task(_keep_alive(service)) for service in services]
        yield Fleet(nats.url, postgres.url, directory / "bill.jsonl", services, servers)
    finally:
        for server in servers[: len(keepers)]:
            await server.wait_up()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        mortals: list[Mortal] = [*services, *reversed(servers)]
        for mortal in mortals:
            await mortal.stop()
        shutil.rmtree(cluster, ignore_errors=True)


async def _keep_alive(mortal: Service | StoredServer) -> None:
    while True:
        await mortal.live()


async def _make_schemas(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for schema in SCHEMAS:
            await connection.execute(f"CREATE SCHEMA {schema}")
    finally:
        await connection.close()


def _environment(directory: Path, nats_url: str, postgres_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "NATS_URL": nats_url,
        "DATABASE_URL": postgres_url,
        "CHAOS_BILL": str(directory / "bill.jsonl"),
        "STRANDLINE_DIFFER_MIRRORS": str(directory / "mirrors"),
        "STRANDLINE_ANALYZER_PARALLEL": str(PARALLEL),
        "STRANDLINE_ANALYZER_WORKERS": "1",
        "STRANDLINE_LEDGER_BATCH": "50",
    }
