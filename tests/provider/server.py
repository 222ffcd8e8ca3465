"""The fake provider: a real HTTP server on loopback, a script of how it behaves, a record of what it was asked.

``async with running_provider(Script(...)) as provider:`` then ask ``provider.url`` and look at ``provider.calls``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.provider.answers import clean_answer, spoil
from tests.provider.http import Request, Response, read_request, write_response
from tests.provider.limits import Limits
from tests.provider.script import UNBILLED, Fault, Script
from tests.provider.wires import Asked, Metered, anthropic_reply, meter, openai_reply, read_anthropic, read_openai

Reply = Callable[[int, str, Fault | None, Metered, Script], bytes]
WIRES: Mapping[str, tuple[Callable[[Mapping[str, Any]], Asked], Reply]] = {
    "/v1/chat/completions": (read_openai, openai_reply),
    "/v1/messages": (read_anthropic, anthropic_reply),
}


@dataclass(kw_only=True)
class Call:
    """One request as it came, and what became of it. ``gone``: the client left before the reply was written."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float
    status: int = 0
    fault: Fault | None = None
    billed_ticks: int = 0
    gone: bool = False
    asked: Asked | None = None


class FakeProvider:
    """What the server knows; ``calls`` grows with every request to a model, refused ones too."""

    def __init__(self, script: Script) -> None:
        self.calls: list[Call] = []
        self.most_inside = 0
        self.url = ""
        self._change = asyncio.Event()
        self.follow(script)

    def follow(self, script: Script) -> None:
        """Behave so from now on."""
        self.script = script
        self._limits = Limits(script)
        self._chance = random.Random(script.seed)
        self._plan = list(script.plan)

    @property
    def billed_ticks(self) -> int:
        """What it would put on the bill."""
        return sum(call.billed_ticks for call in self.calls)

    @property
    def accepted(self) -> list[Call]:
        """The calls that were not told to wait."""
        return [call for call in self.calls if call.status != 429]

    async def until(self, come_true: Callable[[FakeProvider], bool]) -> None:
        """Wait for something to be true of the calls."""
        while not come_true(self):
            await self._change.wait()

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        try:
            while (request := await read_request(reader)) is not None:
                response = await self._respond(request, reader)
                if response is None or not await write_response(writer, response):
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _respond(self, request: Request, reader: asyncio.StreamReader) -> Response | None:
        if request.path == "/v1/models":
            return _json(200, {"object": "list", "data": [{"id": self.script.model, "object": "model"}]})
        if request.path not in WIRES:
            return _error(404, "not_found", f"there is nothing at {request.path}")
        call = Call(
            path=request.path,
            headers=request.headers,
            body=json.loads(request.body),
            at=asyncio.get_running_loop().time(),
        )
        self.calls.append(call)
        response = self._turned_away(call) or await self._answered(call, reader)
        call.status = response.status if response else 0
        self._changed()
        return response

    def _turned_away(self, call: Call) -> Response | None:
        script, headers = self.script, call.headers
        if script.key is not None and script.key not in {
            headers.get("x-api-key"),
            headers.get("authorization", "")[7:],
        }:
            return _error(401, "invalid_api_key", f"Incorrect API key provided: {headers.get('authorization')}")
        if call.body.get("model") != script.model:
            return _error(404, "model_not_found", f"The model {call.body.get('model')} does not exist")
        call.asked = WIRES[call.path][0](call.body)
        if call.asked.form not in {"text", *script.structured}:
            return _error(400, "invalid_request_error", f"response_format type {call.asked.form} is not supported")
        if call.asked.tokens > script.context_tokens:
            return _error(400, "context_length_exceeded", f"maximum context length is {script.context_tokens} tokens")
        wait = self._limits.refuse_for(call.at)
        if wait is None:
            return None
        return _error(429, "rate_limit_exceeded", "Too many requests", {"retry-after": f"{wait:.3f}"})

    async def _answered(self, call: Call, reader: asyncio.StreamReader) -> Response | None:
        assert call.asked is not None
        call.fault = self._next_fault()
        body = self._answer(call, call.asked)
        self._limits.inside += 1
        self.most_inside = max(self.most_inside, self._limits.inside)
        limits = self._limits
        self._changed()
        try:
            call.gone = await _left(reader, self.script.latency.draw(self._chance))
        finally:
            limits.inside -= 1
            self._changed()
        return None if call.gone else _with_fault(body, call.fault, self.script)

    def _next_fault(self) -> Fault | None:
        if self._plan:
            return self._plan.pop(0)
        point = self._chance.random()
        for fault, rate in self.script.faults.items():
            point -= rate
            if point < 0:
                return fault
        return None

    def _answer(self, call: Call, asked: Asked) -> bytes:
        script, lines = self.script, max(1, asked.user.count("\n"))
        if script.answer is not None:
            value = script.answer(asked.user, asked.schema)
        else:
            value = clean_answer(asked.schema, lines=lines, findings=script.findings, chance=self._chance)
        text = spoil(value, call.fault, lines=lines, chance=self._chance)
        metered = meter(asked, text, script)
        call.billed_ticks = 0 if call.fault in UNBILLED or script.dialect == "none" else metered.ticks(script.prices)
        return WIRES[call.path][1](len(self.calls), text, call.fault, metered, script)


async def _left(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Think for so long; whether the client closed its connection meanwhile."""
    if not seconds:
        return False
    try:
        async with asyncio.timeout(seconds):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _with_fault(body: bytes, fault: Fault | None, script: Script) -> Response | None:
    match fault:
        case Fault.DROPPED:
            return None
        case Fault.DROPPED_LATE:
            return Response(body=body, cut_after=len(body) // 2)
        case Fault.HTML:
            page = b"<!doctype html><html><title>Just a moment...</title><body>Checking your browser</body></html>"
            return Response(body=page, content_type="text/html")
        case Fault.ERROR_500 | Fault.ERROR_503:
            return _error(int(fault.value[-3:]), "server_error", "The server had an error")
        case Fault.SLOW_BODY:
            return Response(body=body, slowly=script.slow_seconds)
    return Response(body=body)


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, body=json.dumps(value).encode(), headers=headers or {})


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json(status, {"error": {"message": message, "type": code, "code": code}}, headers)


@contextlib.asynccontextmanager
async def running_provider(script: Script | None = None, *, port: int = 0) -> AsyncIterator[FakeProvider]:
    """A provider on loopback; ``url`` is what a profile calls its address."""
    provider = FakeProvider(script or Script())
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await provider.connected(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=2**20, backlog=1024)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield provider
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
