"""Claims on what costs money: of all replicas one at a time pays for the same content, the others find its result.

A claim names its holder and is renewed for as long as it is held. A dead holder's claim ends by growing too old.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

from libs.bus.api import Bucket, Retry
from libs.runtime.tasks import beside

LASTS = timedelta(seconds=20)
"""As long as the bus waits before it takes a silent process for dead."""
RENEWED = 5.0
LOOK_AGAIN = 0.5
"""Seconds after which a file whose content is claimed is offered again."""


@contextlib.asynccontextmanager
async def claimed(claims: Bucket, key: str, *, holder: str) -> AsyncIterator[None]:
    """Hold the claim while the block runs.

    Raises:
        Retry: somebody else holds it.
    """
    value = holder.encode()
    if not await claims.add(key, value):
        raise Retry("another analyzer is paying for the same content", after=LOOK_AGAIN)
    try:
        async with beside(renewing=partial(_renew, claims, key, value)):
            yield
    finally:
        if await claims.get(key) == value:
            await claims.remove(key)


async def _renew(claims: Bucket, key: str, value: bytes) -> None:
    while True:
        await asyncio.sleep(RENEWED)
        await claims.put(key, value)
