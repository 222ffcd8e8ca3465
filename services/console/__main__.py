"""The console: asks on behalf of people and programs, tells nothing itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog

from libs.bus.api import Bus
from libs.runtime.serve import Checks, http_server, serve
from services.console.http.app import make_app
from services.console.settings import Settings

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def open_console(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """The public API on its own port."""
    async with http_server(make_app(bus), host=settings.host, port=settings.port) as server:
        log.info("console_listening", host=settings.host, port=server.servers[0].sockets[0].getsockname()[1])
        yield {}


def main() -> None:
    serve("console", Settings, open_console)


if __name__ == "__main__":
    main()
