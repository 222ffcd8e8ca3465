"""Work beside a service: begun again when it fails, ended with the service."""

from __future__ import annotations

import asyncio

import pytest

from libs.runtime import tasks
from libs.runtime.tasks import beside


async def test_work_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN", 0.0)
    begun, third = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            third.set()
            await asyncio.Event().wait()
        raise ValueError("oops")

    async with beside(work=work):
        await asyncio.wait_for(third.wait(), 10)

    assert begun == 3


async def test_work_ends_with_what_it_is_beside_of() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def service() -> None:
        async with beside(work=work):
            await begun.wait()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await service()

    assert ended.is_set()
