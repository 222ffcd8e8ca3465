"""A service as its own process: health from the first moment, a clean end at any, one sentence when it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest

from libs.bus.jetstream import connect
from libs.questions.ledger import GetProgress, ListScans, Scans
from tests.contract.bus.scene import eventually
from tests.servers.nats import NatsServer, running_nats

PATIENCE = 30.0
ROOT = Path(__file__).parents[4]


@dataclass
class Service:
    """A running service; ``logged`` is what it has said so far."""

    process: asyncio.subprocess.Process
    port: int = 0
    logged: list[dict[str, object]] = field(default_factory=list)

    async def until(self, event: str) -> dict[str, object]:
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stderr.readline():
                said = json.loads(line)
                self.logged.append(said)
                if said["event"] == event:
                    return said
        raise AssertionError(f"it ended without {event}: {self.logged}")

    async def get(self, path: str) -> tuple[int, dict[str, object]]:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE)
        return answer.status_code, answer.json()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


def command(name: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("STRANDLINE", "NATS", "DATABASE"))}
    return [sys.executable, "-m", f"services.{name}"], {**kept, **environment}


@contextlib.asynccontextmanager
async def running(name: str, **environment: str) -> AsyncIterator[Service]:
    arguments, env = command(name, **environment)
    process = await asyncio.create_subprocess_exec(*arguments, env=env, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    service = Service(process)
    try:
        port = (await service.until("service_starting"))["health_port"]
        assert isinstance(port, int)
        service.port = port
        yield service
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    with running_nats(tmp_path) as server:
        yield server


async def test_a_service_answers_and_ends_cleanly(nats: NatsServer, database_url: str) -> None:
    async with running("ledger", NATS_URL=nats.url, DATABASE_URL=database_url) as service:
        await service.until("service_started")
        async with connect(nats.url, name="asker") as bus:
            scans = await bus.ask(ListScans())
        alive, ready = await service.get("/healthz"), await service.get("/readyz")
        code = await service.stop()

    assert scans == Scans(scans=[])
    assert alive == (200, {"status": "alive"})
    assert ready == (200, {"bus": True, "database": True})
    assert code == 0


async def test_what_is_in_hand_is_finished_before_the_end(nats: NatsServer, tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW_SERVICE)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(slow),
        env={**os.environ, "NATS_URL": nats.url, "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    service = Service(process)
    async with connect(nats.url, name="asker") as bus:
        await service.until("service_started")
        asking = asyncio.create_task(bus.ask(GetProgress(scan_id="s"), timeout=PATIENCE))
        await service.until("asked")
        code = await service.stop()

        assert (await asking).scan_id == "s"
    assert code == 0


SLOW_SERVICE = """
import asyncio
import contextlib

import structlog

from libs.questions.ledger import GetProgress, Progress
from libs.runtime.serve import serve
from libs.runtime.settings import ServiceSettings


@contextlib.asynccontextmanager
async def open_slow(settings, bus):
    async def answer(question):
        structlog.get_logger().info("asked")
        await asyncio.sleep(1)
        return Progress(scan_id=question.scan_id, repository_id="r", state="running")

    async with bus.answer(GetProgress, answer):
        yield {}


serve("slow", ServiceSettings, open_slow)
"""


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "ledger: nats_url: Field required"),
        ({"NATS_URL": "nats://h", "DATABASE_URL": "s3cret"}, "it has to be postgresql://user@host:port/database"),
        ({"NATS_URL": "http://u:s3cret@h", "DATABASE_URL": "postgresql://h/d"}, "it has to be nats://host:port"),
        (
            {"NATS_URL": "nats://h", "DATABASE_URL": "postgresql://h/d", "STRANDLINE_LEDGER_BATCH": "no"},
            "ledger: batch: Input should be a valid integer",
        ),
    ],
    ids=["nothing", "database", "nats", "number"],
)
async def test_a_wrong_environment_is_said_in_a_sentence_without_secrets(
    environment: dict[str, str], sentence: str
) -> None:
    arguments, env = command("ledger", **environment)
    process = await asyncio.create_subprocess_exec(*arguments, env=env, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()

    assert process.returncode == 64
    assert sentence in said.decode()
    assert "s3cret" not in said.decode()
    assert "Traceback" not in said.decode()


async def test_health_is_answered_and_a_signal_heeded_while_servers_are_away(tmp_path: Path) -> None:
    environment = {"NATS_URL": "nats://127.0.0.1:1", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    async with running("ledger", **environment) as service:
        alive, ready = await service.get("/healthz"), await service.get("/readyz")
        code = await service.stop()

    assert alive == (200, {"status": "alive"})
    assert ready == (503, {"started": False})
    assert code == 0


async def test_a_service_says_that_it_cannot_work_while_the_bus_is_away_and_goes_on_when_it_is_back(
    nats: NatsServer,
) -> None:
    async with running("console", NATS_URL=nats.url, STRANDLINE_CONSOLE_PORT="0") as service:
        await service.until("service_started")
        nats.kill()
        away = await service.get("/readyz")
        alive = await service.get("/healthz")
        nats.start()

        async def is_back() -> bool:
            return await service.get("/readyz") == (200, {"bus": True})

        await eventually(is_back)
        code = await service.stop()

    assert away == (503, {"bus": False})
    assert alive == (200, {"status": "alive"})
    assert code == 0


async def test_a_database_that_refuses_is_logged_and_ends_the_service(nats: NatsServer, database_url: str) -> None:
    refusing = database_url.replace("/test_", "/nope_")
    async with running("ledger", NATS_URL=nats.url, DATABASE_URL=refusing) as service:
        failed = await service.until("service_failed")
        code = await service.ended()

    assert code == 1
    assert "InvalidCatalogNameError" in str(failed["exception"])
