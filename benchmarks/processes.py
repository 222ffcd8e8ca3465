"""What the processes of a deployment used: seconds of CPU and megabytes, by what they are."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict

import psutil

KINDS = {"postgres": "postgres", "nats-server": "nats", "git": "git"}


def cpu_seconds(pid: int | None = None) -> dict[str, float]:
    """CPU used so far by the process and everything below it, dead children included, by kind of process."""
    used: dict[str, float] = defaultdict(float)
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            own = times.user + times.system
            used[_kind(process)] += own
            used["ended children"] += times.children_user + times.children_system
    return used


def cpu_since(before: dict[str, float]) -> dict[str, float]:
    """CPU used by this process and everything below it since an earlier ``cpu_seconds``."""
    return {kind: seconds - before.get(kind, 0.0) for kind, seconds in cpu_seconds().items()}


def megabytes(pid: int | None = None) -> dict[str, float]:
    """Memory by kind of process; what processes share is divided among them."""
    used: dict[str, float] = defaultdict(float)
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            used[_kind(process)] += process.memory_full_info().pss / 1e6
    return used


def _family(pid: int | None) -> list[psutil.Process]:
    root = psutil.Process(pid or os.getpid())
    return [root, *root.children(recursive=True)]


def _kind(process: psutil.Process) -> str:
    command = process.cmdline()
    if any("static.worker" in part for part in command):
        return "workers"
    if any("guardian.py" in part for part in command):
        return "guardians"
    return KINDS.get(process.name(), "python")


def busy_elsewhere(began: tuple[float, float], ours: float) -> float:
    """The part of the machine that others used since ``began`` (of ``machine``), between 0 and 1."""
    busy, total = (now - before for now, before in zip(machine(), began, strict=True))
    return max(0.0, busy - ours) / total if total else 0.0


def machine() -> tuple[float, float]:
    """Seconds that all processors together were busy, and that there were."""
    times = psutil.cpu_times()
    total = sum(times[: times._fields.index("guest")]) if "guest" in times._fields else sum(times)
    return total - times.idle - getattr(times, "iowait", 0.0), total
