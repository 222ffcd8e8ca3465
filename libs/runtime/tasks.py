"""Work that goes on beside a service for as long as it is open, and that no failure ends silently."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

AGAIN = 1.0
"""Seconds before work that failed is begun again."""


@contextlib.asynccontextmanager
async def beside(**work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run each piece of work until the context is left; one that fails is logged and begun again."""
    tasks = [asyncio.create_task(_again_and_again(name, begin), name=name) for name, begin in work.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again_and_again(name: str, begin: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await begin()
        except Exception:
            log.exception("background_work_failed", work=name)
        await asyncio.sleep(AGAIN)
