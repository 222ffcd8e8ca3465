"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 20
"""Python's own 700, 10, 10 are for programs with few objects alive. Here thousands of messages in hand outlive each
look and are looked at again: a fifth of the time that a file takes. Counting references frees nearly everything."""


def collect_less_often() -> None:
    """Called once by each process that serves; the setting is the process's."""
    gc.set_threshold(YOUNG, MIDDLE, OLD)
