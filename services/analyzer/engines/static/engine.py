"""The static engine: free, for every language, in worker processes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from pydantic import ValidationError

from libs.bus.api import Retry
from libs.events.analyzer import FailReason, FileAnalysis
from services.analyzer.engines.static.languages import kind_of
from services.analyzer.engines.static.pool import Broken, Pool, Unavailable, open_pool
from services.analyzer.engines.static.version import engine_version
from services.analyzer.ports import Engine, EngineFailed, Examined, Source

RETRY_SECONDS = 5.0


class StaticEngine:
    """Made by ``open_static_engine``."""

    name = "static"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.version = engine_version()

    def identity(self, source: Source) -> str:
        return str(kind_of(source.path, source.content))

    def worst_case_ticks(self, source: Source) -> int:
        return 0

    async def analyse(self, source: Source) -> Examined:
        try:
            answer = await self._pool.examine(kind_of(source.path, source.content), source.content)
            return Examined(analysis=FileAnalysis.model_validate_json(answer))
        except Unavailable as error:
            raise Retry(str(error), after=RETRY_SECONDS) from error
        except (Broken, ValidationError) as error:
            raise EngineFailed(FailReason.ENGINE_ERROR, str(error)) from error


@contextlib.asynccontextmanager
async def open_static_engine(*, workers: int, file_seconds: float = 10.0) -> AsyncIterator[Engine]:
    """The engine with its workers, which start in the background and end with it."""
    async with open_pool(workers=workers, file_seconds=file_seconds) as pool:
        yield StaticEngine(pool)
