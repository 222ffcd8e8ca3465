"""The analyzer: hears ``FileQueued`` of every active scan, tells ``FileAnalyzed`` or ``FileFailed``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from libs.bus.api import Bus
from libs.questions.analyzer import DescribeEngines
from libs.runtime.serve import Checks, serve
from libs.runtime.tasks import beside
from services.analyzer.claims import LASTS
from services.analyzer.clients.ledger import LedgerMeter
from services.analyzer.engines.model.client import open_chat_model
from services.analyzer.engines.model.engine import NAME as MODEL_ENGINE
from services.analyzer.engines.model.engine import open_model_engine
from services.analyzer.engines.model.profiles import ModelMisconfigured
from services.analyzer.engines.model.settings import is_configured, read_settings
from services.analyzer.engines.static.engine import open_static_engine
from services.analyzer.handlers import Bench, analyse_file, describe_engines, give_up, show_what_is_in_hand
from services.analyzer.ports import Engine
from services.analyzer.settings import Settings
from services.analyzer.turns import Turns, taking_turns


@contextlib.asynccontextmanager
async def open_analyzer(settings: Settings, bus: Bus) -> AsyncIterator[Checks]:
    """The analyzer with the engines that its settings allow."""
    async with AsyncExitStack() as stack:
        opened = open_static_engine(workers=settings.workers, file_seconds=settings.file_seconds)
        static = await stack.enter_async_context(opened)
        engines, problems = [static], {}
        try:
            model_settings = read_settings()
            if is_configured(model_settings):
                model = await stack.enter_async_context(open_chat_model(model_settings))
                engines.insert(0, open_model_engine(static, model))
        except ModelMisconfigured as error:
            problems[MODEL_ENGINE] = str(error)
        yield await stack.enter_async_context(open_with_engines(settings, bus, engines, problems=problems))


@contextlib.asynccontextmanager
async def open_with_engines(
    settings: Settings, bus: Bus, engines: list[Engine], *, problems: Mapping[str, str] | None = None
) -> AsyncIterator[Checks]:
    """The analyzer on given engines; the first is what ``auto`` means."""
    bench = Bench(
        bus=bus,
        blobs=await bus.bucket("blobs", ttl=timedelta(days=settings.blob_days)),
        analyses=await bus.bucket("analyses", ttl=timedelta(days=settings.cache_days)),
        claims=await bus.bucket("claims", ttl=LASTS),
        engines={engine.name: engine for engine in engines},
        meter=LedgerMeter(bus),
    )
    turns = Turns(bus, partial(analyse_file, bench), partial(give_up, bench), parallel=settings.parallel)
    async with AsyncExitStack() as stack:
        described = partial(describe_engines, bench, engines[0].name, problems=problems)
        await stack.enter_async_context(bus.answer(DescribeEngines, described))
        await stack.enter_async_context(taking_turns(turns, bus))
        await stack.enter_async_context(beside(in_hand=partial(show_what_is_in_hand, bench)))
        yield {}


def main() -> None:
    serve("analyzer", Settings, open_analyzer)


if __name__ == "__main__":
    main()
