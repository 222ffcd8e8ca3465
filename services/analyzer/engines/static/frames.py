"""What passes between the pool and its workers: length, then bytes. Both ends run the same code of this module."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from services.analyzer.engines.static.languages import Kind

HEADER = struct.Struct("!II")
"""The length of the payload, and the place of its file in the batch."""

PROGRESS_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    """One file of a batch."""

    kind: Kind
    content: bytes
    given_up: dict[str, str]


def pack(payload: bytes, place: int = 0) -> bytes:
    return HEADER.pack(len(payload), place) + payload


def pack_requests(requests: Sequence[Request]) -> bytes:
    return pack(pickle.dumps(list(requests), pickle.HIGHEST_PROTOCOL))


def read_requests(stream: BinaryIO) -> list[Request] | None:
    """The next batch; none when the other end is gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    length, _ = HEADER.unpack(header)
    payload = stream.read(length)
    if len(payload) < length:
        return None
    requests: list[Request] = pickle.loads(payload)
    return requests


def pack_progress(place: int, tool: str) -> bytes:
    return f"{place} {tool}".encode().ljust(PROGRESS_BYTES)


def unpack_progress(data: bytes) -> tuple[int, str] | None:
    """The place of the file in hand and the tool at work on it; none where none was begun."""
    words = data.decode("ascii", "replace").split()
    return (int(words[0]), words[1]) if len(words) == 2 else None
