"""One POST over HTTP, bounded in every phase and in size; what went wrong is told by what it may have cost."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx

from services.analyzer.engines.model.profiles import Profile
from services.analyzer.engines.model.settings import ModelSettings

MOST_BYTES = 16 * 2**20
IDLE_SECONDS = 15.0
"""Connections that lie idle longer are closed by us, before the provider closes them under a request."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``whole`` is False where the body was longer than anything sensible and was cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


class Unreached(Exception):
    """The provider never got the request."""


class Untrusted(Exception):
    """The address shows a certificate that is not valid."""


class Lost(Exception):
    """The request went out and its answer did not come, or not to its end."""


class Transport:
    """Posts JSON with one pool of connections."""

    def __init__(self, http: httpx.AsyncClient, settings: ModelSettings) -> None:
        self._http = http
        self._first_byte = settings.first_byte_seconds
        self._whole = settings.answer_seconds

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        """Raises: Unreached, Untrusted, Lost."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            async with asyncio.timeout(self._whole):
                return await self._exchange(path, content, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if certificate := _certificate_fault(error):
                raise Untrusted(certificate) from None
            raise Unreached(f"cannot be reached ({type(error).__name__})") from None
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise Untrusted(f"cannot be asked ({type(error).__name__})") from None
        except httpx.ReadTimeout:
            raise Lost(f"did not answer within {self._first_byte:g} s") from None
        except TimeoutError:
            raise Lost(f"did not end its answer within {self._whole:g} s") from None
        except httpx.HTTPError as error:
            raise Lost(f"broke the connection ({type(error).__name__})") from None

    async def _exchange(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._http.stream("POST", path, content=content, headers=dict(headers)) as response:
            parts, size = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    break
            body = b"".join(parts)[:MOST_BYTES]
            return Answer(status=response.status_code, headers=response.headers, body=body, whole=size <= MOST_BYTES)


def _certificate_fault(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"shows a certificate that is not valid ({error.verify_message})"
        error = error.__cause__ or error.__context__
    return None


@asynccontextmanager
async def open_transport(
    profile: Profile, key_headers: Mapping[str, str], settings: ModelSettings
) -> AsyncIterator[Transport]:
    """One pool with as many connections as there may be calls at once; a local address is asked without a proxy."""
    limits = httpx.Limits(
        max_connections=settings.parallel,
        max_keepalive_connections=settings.parallel,
        keepalive_expiry=IDLE_SECONDS,
    )
    timeout = httpx.Timeout(
        connect=settings.connect_seconds,
        read=settings.first_byte_seconds,
        write=settings.connect_seconds * 3,
        pool=None,
    )
    async with httpx.AsyncClient(
        base_url=profile.url,
        headers={"content-type": "application/json", "user-agent": "strandline", **key_headers},
        limits=limits,
        timeout=timeout,
        verify=ssl.create_default_context() if profile.url.startswith("https") else False,
        trust_env=not profile.is_local,
    ) as http:
        yield Transport(http, settings)
