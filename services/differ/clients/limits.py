"""What git calls and work trees may take, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``omit_bytes``: larger files of a work tree are not copied. ``packs``: more are packed into one."""

    fetch_seconds: float = 1800.0
    seconds: float = 120.0
    read_seconds: float = 1800.0
    rename_seconds: float = 20.0
    churn_seconds: float = 1.0
    churn_commits: int = 1000
    output_bytes: int = 512 * 1024 * 1024
    files: int = 1_000_000
    omit_bytes: int = 8 * 1024 * 1024
    uncommitted_bytes: int = 4 * 1024 * 1024 * 1024
    packs: int = 50
