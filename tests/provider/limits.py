"""What the fake provider lets in: requests a minute without bursts, and so many at once."""

from __future__ import annotations

from tests.provider.script import Script


class Limits:
    """Tells who must wait, and how long. A request a minute over the limit is refused, not delayed."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._next = 0.0
        self.inside = 0

    def refuse_for(self, now: float) -> float | None:
        """Seconds after which to come again; None: come in."""
        script = self._script
        if script.concurrency is not None and self.inside >= script.concurrency:
            return script.retry_after or 0.05
        if script.requests_per_minute is None:
            return None
        every = 60 / script.requests_per_minute
        burst = script.burst or 1 + script.requests_per_minute / 60
        due = max(self._next, now)
        if due - now > every * burst:
            return script.retry_after or due - now
        self._next = due + every
        return None
