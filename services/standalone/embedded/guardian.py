"""Runs one server and stops it when the process that asked for it is gone, however it went.

Started by path (``python -I -S guardian.py``), so it imports nothing of ours. Reads its order, one line of JSON, from
standard input; the end of standard input means: stop. A pipe closes when its writer dies, on every Unix, even by
``kill -9``. Children that our process forked would keep the pipe open, so the parent's id is looked at as well.
The guardian and its server share an open, locked file: as long as any process of the server lives the lock is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from typing import Any

LOCK_HELD = 75
CANNOT_RUN = 71
LOOK_SECONDS = 1.0


def main() -> int:
    parent = os.getppid()
    wake = _wake_on_signals()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0
    order: dict[str, Any] = json.loads(line)
    lock = os.open(order["lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return LOCK_HELD
    try:
        server = _start(order, lock)
    except OSError as error:
        print(f"{order['argv'][0]}: {error.strerror}: {error.filename}", file=sys.stderr)
        return CANNOT_RUN
    _watch(server, wake, parent)
    for number, seconds in order["signals"]:
        if server.poll() is None:
            server.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(seconds)
    if server.poll() is None:
        server.kill()
    return server.wait() & 0xFF


def _wake_on_signals() -> int:
    """Signals become readable bytes, so that one ``select`` waits for everything."""
    wake, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in the server.
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return wake


def _start(order: dict[str, Any], lock: int) -> subprocess.Popen[bytes]:
    account = order["account"]
    whom = {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}
    return subprocess.Popen(
        order["argv"],
        cwd=order["directory"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        pass_fds=[lock],
        **whom,
    )


def _watch(server: subprocess.Popen[bytes], wake: int, parent: int) -> None:
    """Until the server ends, or whoever asked for it does not want it any more or is gone."""
    while server.poll() is None:
        readable, _, _ = select.select([sys.stdin.fileno(), wake], [], [], LOOK_SECONDS)
        asked = wake in readable and set(os.read(wake, 512)) - {signal.SIGCHLD}
        if asked or sys.stdin.fileno() in readable or os.getppid() != parent:
            return


if __name__ == "__main__":
    sys.exit(main())
