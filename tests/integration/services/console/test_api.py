"""The public HTTP API over a bus: every refusal is a problem document, every stream ends when it should."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest

from libs.bus.api import Refused
from libs.bus.memory import MemoryBus
from libs.questions.ledger import GetProgress, PauseScan, Progress
from libs.runtime.serve import http_server
from services.console.http.app import make_app
from tests.integration.services.ledger.scene import SCAN, analysed


async def no_scan(question: GetProgress) -> Progress:
    raise Refused(f"there is no scan {question.scan_id}", code="unknown_scan")


async def too_late(_: PauseScan) -> Progress:
    raise Refused("it is completed and cannot be paused", code="not_running")


@contextlib.asynccontextmanager
async def an_api(bus: MemoryBus) -> AsyncIterator[httpx.AsyncClient]:
    async with http_server(make_app(bus)) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20) as client:
            yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/scans/nope", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/scans", 405),
        ("POST", f"/scans/{SCAN}/pause", 409),
        ("GET", "/scans/a.b", 422),
        ("GET", "/repositories/r/findings?limit=9999", 422),
        ("GET", "/events?since=yesterday", 422),
        ("GET", "/repositories/r/tasks", 503),
    ],
)
async def test_every_error_is_a_problem_document(method: str, path: str, status: int) -> None:
    bus = MemoryBus()
    async with bus.answer(GetProgress, no_scan), bus.answer(PauseScan, too_late), an_api(bus) as client:
        response = await client.request(method, path)
    body: dict[str, Any] = response.json()

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert body["status"] == status
    assert body["type"].startswith("urn:strandline:problem:")
    assert body["title"]
    assert body["detail"]


async def test_a_bug_is_a_problem_document_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = MemoryBus()

    async def fail() -> int:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(bus, "last_sequence", fail)
    async with an_api(bus) as client:
        response = await client.get("/system")

    assert (response.status_code, response.json()["title"]) == (500, "internal")
    assert "secret" not in response.text


async def test_events_go_on_after_the_last_one_a_client_had() -> None:
    bus = MemoryBus()
    await bus.publish([analysed("a"), analysed("b"), analysed("c")])
    async with (
        an_api(bus) as client,
        client.stream("GET", "/events?since=1", headers={"Last-Event-ID": "2"}) as response,
    ):
        fields = [line async for line in first(response.aiter_lines(), 3)]

    assert "id: 3" in fields
    (data,) = [json.loads(line.removeprefix("data: ")) for line in fields if line.startswith("data: ")]
    assert data["path"] == "c"


@pytest.mark.parametrize("path", ["/events", f"/scans/{SCAN}/follow"])
async def test_an_open_stream_is_ended_not_broken_off_when_the_server_stops(path: str) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        async with http_server(make_app(MemoryBus())) as server:
            address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/api/v1{path}"
            response = await client.send(client.build_request("GET", address), stream=True)
        rest = await response.aread()

    assert (response.status_code, rest) == (200, b"")


async def test_the_api_describes_itself() -> None:
    document = make_app(MemoryBus()).openapi()

    assert {"/api/v1/scans/{scan_id}/follow", "/api/v1/events", "/api/v1/system"} <= set(document["paths"])
    assert json.dumps(document)


async def first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        count -= 1
        if not count:
            return
