"""How a service lives: settings from the environment, the bus, health over HTTP, a clean end on SIGTERM.

``/healthz`` says that the process can still do something (its event loop turns); it never depends on a server
elsewhere. ``/readyz`` says that it can do its work now, check by check.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
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

Check = Callable[[], Awaitable[bool]]
Checks = Mapping[str, Check]
Configured = TypeVar("Configured", bound=ServiceSettings)
OpenService = Callable[[Configured, Bus], AbstractAsyncContextManager[Checks]]
"""Opens a service on a bus: subscribes its handlers, yields its readiness checks, stops when left."""


READY_SECONDS = 2.0
"""What a readiness check gets to answer in."""


class CannotListen(Exception):
    """The address to serve on cannot be had; the message says which and why."""


def serve(name: str, settings_type: type[Configured], open_service: OpenService[Configured]) -> None:
    """Run one service until SIGTERM or SIGINT. Exits with 64 when the environment is wrong.

    SIGUSR1 writes the stack of every thread to standard error.
    """
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        settings = settings_type()
    except ValidationError as error:
        for problem in error.errors():
            sys.stderr.write(f"{name}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}\n")
        raise SystemExit(64) from None
    set_up_logs(service=name, form=settings.log_format, level=settings.log_level)
    collect_less_often()
    try:
        uvloop.run(_live(name, settings, open_service))
    except CannotListen as problem:
        sys.stderr.write(f"{name}: {problem}\n")
        raise SystemExit(2) from None
    except Exception:
        log.exception("service_failed")
        raise SystemExit(1) from None


async def _live(name: str, settings: Configured, open_service: OpenService[Configured]) -> None:
    """Health is answered, and a signal heeded, also while the service still waits for the servers it needs."""
    stopping = stop_signal()
    checks: dict[str, Check] = {"started": _no}
    async with health_server(checks, host=settings.health_host, port=settings.health_port) as port:
        log.info("service_starting", health_port=port)
        working = asyncio.create_task(_work(name, settings, open_service, checks, stopping))
        waiting = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if "started" in checks:
                working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
        finally:
            waiting.cancel()
    log.info("service_stopped")


async def _work(
    name: str,
    settings: Configured,
    open_service: OpenService[Configured],
    checks: dict[str, Check],
    stopping: asyncio.Event,
) -> None:
    url = settings.nats_url.get_secret_value()
    async with (
        connect(url, name=name, grace=settings.grace_seconds) as bus,
        open_service(settings, bus) as service_checks,
    ):
        checks.update({"bus": partial(_answers, bus), **service_checks})
        del checks["started"]
        log.info("service_started")
        await stopping.wait()
        checks["stopping"] = _no
        log.info("service_stopping", grace_seconds=settings.grace_seconds)


async def _no() -> bool:
    return False


async def _answers(bus: Bus) -> bool:
    return await bus.last_sequence() >= 0


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
        results = {name: await _passes(check) for name, check in list(checks.items())}
        response.status_code = 200 if all(results.values()) else 503
        return results

    return app


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is no
        log.debug("readiness_check_failed", error=type(error).__name__)
        return False


@contextlib.asynccontextmanager
async def health_server(checks: Checks, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``health_app``; yields the port it got."""
    async with http_server(health_app(checks), host=host, port=port) as server:
        yield server.servers[0].sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def http_server(
    app: FastAPI, *, host: str = "127.0.0.1", port: int = 0, unix_socket: str | None = None
) -> AsyncIterator[uvicorn.Server]:
    """Serve an application inside this process, without uvicorn's own signal handling.

    ``app.state.stopping`` is an event that is set when serving ends: streams that nobody else would end wait for it.

    Raises:
        CannotListen: somebody else has the port, or there is no such address here.
    """
    app.state.stopping = asyncio.Event()
    # Bound here: uvicorn ends the whole process with a traceback when it cannot.
    sockets = None if unix_socket else [_listen(host, port)]
    server = _Server(
        uvicorn.Config(
            app, host=host, port=port, uds=unix_socket, log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
    )
    running = asyncio.create_task(server.serve(sockets=sockets), name="http-server")
    try:
        while not server.started:
            if running.done():
                running.result()
                raise RuntimeError("the HTTP server ended before it had started")
            await asyncio.sleep(0.005)
        yield server
    finally:
        app.state.stopping.set()
        server.should_exit = True
        await running


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise CannotListen(f"cannot listen on {host} port {port}: {why}; choose another") from error


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield
