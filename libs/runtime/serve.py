"""How a service lives: settings from the environment, the bus, health over HTTP, a clean end on SIGTERM.

``/healthz`` says that the process can still do something (its event loop turns); it never depends on a server
elsewhere. ``/readyz`` says that it can do its work now, check by check.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI, Response
from pydantic import ValidationError

from libs.bus.api import Bus
from libs.bus.jetstream import connect
from libs.runtime.collecting import collect_less_often
from libs.runtime.settings import ServiceSettings
from libs.telemetry.logs import set_up_logs

log = structlog.get_logger(__name__)

Checks = Mapping[str, Callable[[], Awaitable[bool]]]
Configured = TypeVar("Configured", bound=ServiceSettings)
OpenService = Callable[[Configured, Bus], AbstractAsyncContextManager[Checks]]
"""Opens a service on a bus: subscribes its handlers, yields its readiness checks, stops when left."""


def serve(name: str, settings_type: type[Configured], open_service: OpenService[Configured]) -> None:
    """Run one service until SIGTERM or SIGINT. Exits with 64 when the environment is wrong."""
    faulthandler.enable()
    try:
        settings = settings_type()
    except ValidationError as error:
        for problem in error.errors():
            print(f"{name}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(64) from None
    set_up_logs(service=name, form=settings.log_format, level=settings.log_level)
    collect_less_often()
    uvloop.run(_live(name, settings, open_service))


async def _live(name: str, settings: Configured, open_service: OpenService[Configured]) -> None:
    stopping = stop_signal()
    async with (
        connect(settings.nats_url.get_secret_value(), name=name, grace=settings.grace_seconds) as bus,
        open_service(settings, bus) as checks,
        health_server(checks, host=settings.health_host, port=settings.health_port) as port,
    ):
        log.info("service_started", health_port=port)
        await stopping.wait()
        log.info("service_stopping", grace_seconds=settings.grace_seconds)
    log.info("service_stopped")


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def health_app(checks: Checks) -> FastAPI:
    """``/healthz`` and ``/readyz`` over the given checks."""
    app = FastAPI(openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, bool]:
        results = {name: await check() for name, check in checks.items()}
        response.status_code = 200 if all(results.values()) else 503
        return results

    return app


@contextlib.asynccontextmanager
async def health_server(checks: Checks, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``health_app``; yields the port it got."""
    async with http_server(health_app(checks), host=host, port=port) as server:
        yield server.servers[0].sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def http_server(
    app: FastAPI, *, host: str = "127.0.0.1", port: int = 0, unix_socket: str | None = None
) -> AsyncIterator[uvicorn.Server]:
    """Serve an application inside this process, without uvicorn's own signal handling."""
    server = _Server(
        uvicorn.Config(
            app, host=host, port=port, uds=unix_socket, log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
    )
    running = asyncio.create_task(server.serve(), name="http-server")
    try:
        while not server.started:
            if running.done():
                running.result()
                raise RuntimeError("the HTTP server ended before it had started")
            await asyncio.sleep(0.005)
        yield server
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield
