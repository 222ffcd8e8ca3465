"""Where results are printed: as wide as the terminal, and never wrapped or cut where there is none."""

from __future__ import annotations

import sys

from rich.console import Console

UNLIMITED = 10_000


def results_console() -> Console:
    """Standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else UNLIMITED)
