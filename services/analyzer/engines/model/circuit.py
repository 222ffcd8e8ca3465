"""Whether a provider is worth asking: after enough failures in a row nobody asks for a while, then one does."""

from __future__ import annotations

FAILURES = 8
SHORTEST, LONGEST = 1.0, 60.0


class Circuit:
    """Closed: ask. Open: come again after ``wait`` seconds. When those are over one call may try."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause = SHORTEST
        self._open_until: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until asking makes sense; 0: ask. Who gets 0 of an open circuit tries for everybody else."""
        if self._open_until is None:
            return 0.0
        if now < self._open_until:
            return self._open_until - now
        self._open_until = now + self._pause
        return 0.0

    def succeeded(self) -> None:
        """The provider is there: anything it says itself counts, even no."""
        self._failures = 0
        self._pause = SHORTEST
        self._open_until = None

    def failed(self, now: float) -> None:
        """The provider was not there."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._open_until is not None:
            self._pause = min(LONGEST, self._pause * 2)
        self._open_until = now + self._pause
