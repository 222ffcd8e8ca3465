"""Health over HTTP: being alive depends on nobody, being ready on every check."""

from __future__ import annotations

import asyncio

import httpx2 as httpx
import pytest

from libs.runtime import serve
from libs.runtime.serve import Checks, health_server


async def get(checks: Checks, path: str) -> tuple[int, dict[str, object]]:
    async with health_server(checks, host="127.0.0.1", port=0) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}{path}", timeout=20)
    return answer.status_code, answer.json()


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def broken() -> bool:
    raise OSError("no route")


async def never() -> bool:
    await asyncio.Event().wait()
    return True


async def test_it_is_ready_when_every_check_passes() -> None:
    assert await get({"a": yes, "b": yes}, "/readyz") == (200, {"a": True, "b": True})
    assert await get({}, "/readyz") == (200, {})


async def test_a_check_that_fails_raises_or_never_answers_makes_it_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "READY_SECONDS", 0.05)
    checks = {"fine": yes, "no": no, "broken": broken, "never": never}

    assert await get(checks, "/readyz") == (503, {"fine": True, "no": False, "broken": False, "never": False})


async def test_it_is_alive_whatever_the_checks_say() -> None:
    assert await get({"a": broken}, "/healthz") == (200, {"status": "alive"})
