"""Key-value buckets on JetStream: written like facts, read straight from the stream in one round trip."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from libs.bus.link import ApiError, Frame, Link, header_block
from libs.bus.publishing import Outgoing, store

_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_KEY = re.compile(r"^[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*$")
AT_ONCE = 64
IF_THERE_IS_NONE = header_block({"Nats-Expected-Last-Subject-Sequence": "0"})


def check_bucket_name(name: str) -> None:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no name for a bucket")


def check_key(key: str) -> None:
    if not _KEY.match(key):
        raise ValueError(f"{key!r} is no key: letters, digits, -, _, /, = and single dots between them")


class JetStreamBucket:
    """One bucket. Values over the server's payload limit are refused here, with their key."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name
        self._read = f"$JS.API.DIRECT.GET.KV_{name}.$KV.{name}."
        self._write = f"$KV.{name}."

    async def get(self, key: str) -> bytes | None:
        check_key(key)
        return _value(await self._link.insist(self._read + key), key)

    async def put(self, key: str, value: bytes) -> None:
        await self.put_all({key: value})

    async def add(self, key: str, value: bytes) -> bool:
        # A confirmation that was lost makes us send again and be refused by our own value.
        first = self._outgoing(key, value)._replace(headers=IF_THERE_IS_NONE)
        return await store(self._link, [first]) == 1 or await self.get(key) == value

    async def remove(self, key: str) -> None:
        check_key(key)
        await self._link.call(f"STREAM.PURGE.KV_{self._name}", {"filter": self._write + key})

    async def put_all(self, values: Mapping[str, bytes]) -> None:
        await store(self._link, [self._outgoing(key, value) for key, value in values.items()])

    async def get_all(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            values = await asyncio.gather(*(self.get(key) for key in some))
            found.update((key, value) for key, value in zip(some, values, strict=True) if value is not None)
        return found

    def _outgoing(self, key: str, value: bytes) -> Outgoing:
        check_key(key)
        if len(value) > self._link.max_payload - 1024:
            raise ValueError(f"{key} in {self._name}: {len(value)} bytes are over the limit of the NATS server")
        return Outgoing(self._write + key, value)


def _value(frame: Frame, key: str) -> bytes | None:
    if frame.status == 404 or "KV-Operation" in frame.headers:
        return None
    if frame.status:
        raise ApiError(key, {"code": frame.status, "description": frame.description})
    return frame.data
