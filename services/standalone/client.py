"""The command line's one way to everything: the public HTTP API, over a socket or to ``STRANDLINE_URL``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import httpx2 as httpx

from libs.events.envelope import Model

Answer = TypeVar("Answer", bound=Model)


class ApiProblem(Exception):
    """The deployment says no: ``code`` for programs, the message for a person."""

    def __init__(self, code: str, detail: str, status: int) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status


class Unreachable(Exception):
    """The deployment does not answer (any more). ``gone``: nobody is there; otherwise part of it is away just now."""

    def __init__(self, message: str, *, gone: bool = True) -> None:
        super().__init__(message)
        self.gone = gone


class Client:
    """Speaks ``/api/v1``."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def over_socket(cls, path: str) -> Client:
        """To a deployment on this machine, by its unix socket."""
        transport = httpx.AsyncHTTPTransport(uds=path)
        return cls(httpx.AsyncClient(transport=transport, base_url="http://strandline/api/v1", timeout=TIMEOUT))

    @classmethod
    def to_url(cls, url: str) -> Client:
        """To a deployment somewhere, by its console's address."""
        return cls(httpx.AsyncClient(base_url=f"{url.rstrip('/')}/api/v1", timeout=TIMEOUT))

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, answer: type[Answer], method: str, path: str, **options: Any) -> Answer:
        """One request and its answer.

        Raises:
            ApiProblem: the deployment refuses.
            Unreachable: there is no deployment there, or part of it is away.
        """
        try:
            response = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"no deployment answers: {error or type(error).__name__}") from error
        if response.is_error:
            raise _problem(response)
        return answer.model_validate_json(response.content)

    async def send(self, method: str, path: str, **options: Any) -> None:
        """One request whose answer has no content. Raises like ``ask``."""
        try:
            response = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(f"no deployment answers: {error or type(error).__name__}") from error
        if response.is_error:
            raise _problem(response)

    async def events(self, path: str, **parameters: Any) -> AsyncGenerator[tuple[str, str, str], None]:
        """Server-sent events as (name, id, data), until the server ends them.

        Raises:
            ApiProblem, Unreachable: as for ``ask``; also when the stream breaks off.
        """
        try:
            async with self._http.stream("GET", path, params=parameters, timeout=STREAM_TIMEOUT) as response:
                if response.is_error:
                    await response.aread()
                    raise _problem(response)
                fields: dict[str, str] = {}
                async for line in _lines(response.aiter_bytes()):
                    if line:
                        name, _, value = line.partition(":")
                        fields[name] = value.removeprefix(" ")
                    elif "data" in fields:
                        yield fields.get("event", "message"), fields.get("id", ""), fields["data"]
                        fields = {}
        except httpx.TransportError as error:
            raise Unreachable(f"the deployment stopped answering: {error or type(error).__name__}") from error


TIMEOUT = httpx.Timeout(130, connect=10)
STREAM_TIMEOUT = httpx.Timeout(60, connect=10)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines as the server ends them; what else Unicode knows for line ends may stand in a path."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


def _problem(response: httpx.Response) -> ApiProblem | Unreachable:
    try:
        body = response.json()
        problem = ApiProblem(str(body["title"]).replace(" ", "_"), str(body["detail"]), response.status_code)
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        problem = ApiProblem("error", f"the deployment answered {response.status_code}", response.status_code)
    away = response.status_code in (502, 503, 504)
    return Unreachable(str(problem), gone=False) if away else problem
