"""Where facts live: stream names, subject patterns, and the key that stands for a path."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from hashlib import blake2b

STREAM = "SCANS"
DEAD_STREAM = "DEAD"
ALL_FACTS = "scan.>"

ANY_FILE_FACT = "scan.*.*.file.>"
"""Queued, skipped, analysed, failed and removed files of every scan."""

_UNFIT = re.compile(r"[^a-z0-9]+")
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def pattern(token: str, *, keyed: bool = False, repository: str = "*", scan: str = "*") -> str:
    """The subscription pattern of one kind of fact, e.g. ``scan.*.*.file.queued.*``."""
    return f"scan.{repository}.{scan}.{token}" + (".*" if keyed else "")


def file_key(path: bytes) -> str:
    """16 hex digits of the BLAKE2b of the raw path: safe in a subject whatever git let the path be."""
    return blake2b(path, digest_size=8).hexdigest()


def path_text(path: bytes) -> str:
    """The path for people; bytes that are not UTF-8 show as ``\\xNN``. Never used as identity."""
    return path.decode("utf-8", "backslashreplace")


def slug(name: str) -> str:
    """A name reduced to what a subject token may hold, for ids that people recognise."""
    return _UNFIT.sub("-", name.lower()).strip("-")[:32] or "repository"


def analyze_consumer(scan_id: str) -> str:
    """The durable consumer whose acknowledged position is this scan's checkpoint."""
    return f"analyze-{scan_id}"


def new_scan_id(now: datetime | None = None, randomness: int | None = None) -> str:
    """Time-ordered and unique: ten base-32 digits of milliseconds, then six of randomness."""
    moment = int((now or datetime.now(UTC)).timestamp() * 1000)
    return _base32(moment, 10) + _base32(secrets.randbits(30) if randomness is None else randomness, 6)


def _base32(number: int, digits: int) -> str:
    return "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(digits)))
