"""What a person at a terminal sees: a pseudo-terminal of our own, read as it is written."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

from tests.e2e.command import COMMAND, PATIENCE, environment


def test_a_terminal_shows_a_live_bar_and_a_page_that_fits(many: Path, data_dir: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    env = environment(data_dir, TERM="xterm-256color")
    scan = subprocess.Popen(
        [COMMAND, "scan", many, "--budget", "2"], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = _read(ours)
    os.close(ours)

    assert scan.wait(PATIENCE) == 0
    assert "[300/300] 100.0 %" in shown
    assert "files/s" in shown
    assert "$0.0000 of $2.00" in shown
    page = shown[shown.rindex("300 files with") :]
    assert "300 files listed (everything: the first scan)" in page.replace("\r\n", " ")
    assert max(len(line) for line in page.split("\r\n")) <= 80 + len("\x1b[2m\x1b[0m")


def _read(terminal: int) -> str:
    """Everything until the last process that writes to it is gone, which a terminal tells by an error."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()
