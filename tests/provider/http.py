"""As much HTTP/1.1 as a provider needs, with full control over when a connection is slow or breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Response:
    """``cut_after`` closes the connection after so many bytes of body; ``slowly`` spreads it over so many seconds."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    slowly: float = 0.0


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when it was closed."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, path, _ = first.split(" ", 2)
    return Request(method=method, path=path.partition("?")[0], headers=headers, body=body)


async def write_response(writer: asyncio.StreamWriter, response: Response) -> bool:
    """Whether the connection can be used again."""
    headers = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        **response.headers,
    }
    status = f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Error')}\r\n"
    writer.write((status + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode())
    body = response.body if response.cut_after is None else response.body[: response.cut_after]
    if response.slowly:
        await _drip(writer, body, response.slowly)
    else:
        writer.write(body)
    await writer.drain()
    return response.cut_after is None


async def _drip(writer: asyncio.StreamWriter, body: bytes, seconds: float) -> None:
    step = max(1, len(body) // 20)
    for start in range(0, len(body), step):
        writer.write(body[start : start + step])
        await writer.drain()
        await asyncio.sleep(seconds / 20)
