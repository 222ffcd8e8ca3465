"""The whole system in this process: embedded servers, every service on one bus, the API on a unix socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from libs.bus.api import Bus
from libs.bus.jetstream import connect
from libs.bus.reclaim import reclaim
from libs.runtime.collecting import collect_less_often
from libs.runtime.serve import Checks, OpenService, http_server
from services.analyzer.__main__ import open_analyzer
from services.analyzer.settings import Settings as AnalyzerSettings
from services.console.http.app import make_app
from services.differ.__main__ import open_differ
from services.differ.settings import Settings as DifferSettings
from services.ledger.__main__ import open_ledger
from services.ledger.settings import Settings as LedgerSettings
from services.reviewer.__main__ import open_reviewer
from services.reviewer.settings import Settings as ReviewerSettings
from services.standalone.embedded.directory import Holding
from services.standalone.embedded.servers import Servers, embedded_servers


@contextlib.asynccontextmanager
async def open_deployment(
    holding: Holding, *, analysing: bool = True, analyzer: OpenService[AnalyzerSettings] = open_analyzer
) -> AsyncIterator[Bus]:
    """Everything, on the data directory that is held. Without ``analysing`` queued files stay queued.

    ``analyzer`` opens the analyzer; another than the usual one brings engines of its own.
    """
    collect_less_often()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(embedded_servers(holding.path))
        # Whoever worked on this directory before is dead, since we hold it.
        await reclaim(servers.nats_url)
        bus = await stack.enter_async_context(connect(servers.nats_url, name="standalone"))
        for service in _services(holding.path, servers, bus):
            await stack.enter_async_context(service)
        if analysing:
            settings = AnalyzerSettings(nats_url=SecretStr(servers.nats_url))
            await stack.enter_async_context(analyzer(settings, bus))
        await stack.enter_async_context(http_server(make_app(bus), unix_socket=str(holding.socket)))
        yield bus


def _services(data: Path, servers: Servers, bus: Bus) -> list[AbstractAsyncContextManager[Checks]]:
    def settings(service: str, **more: Any) -> dict[str, Any]:
        return {
            "nats_url": SecretStr(servers.nats_url),
            "database_url": SecretStr(servers.database_url(service)),
            **more,
        }

    return [
        open_ledger(LedgerSettings(**settings("ledger")), bus),
        open_reviewer(ReviewerSettings(**settings("reviewer")), bus),
        open_differ(DifferSettings(**settings("differ", mirrors=data / "mirrors")), bus),
    ]
