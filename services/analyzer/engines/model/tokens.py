"""How many tokens a text has, without the provider's tokenizer: bytes, a ratio, and what the provider told us since."""

from __future__ import annotations

from collections.abc import Mapping

BYTES_A_TOKEN: Mapping[str, float] = {
    "py": 4.74,
    "rs": 4.62,
    "sql": 4.75,
    "cs": 5.1,
    "yml": 4.4,
    "yaml": 4.4,
    "md": 4.0,
    "js": 4.0,
    "ts": 4.0,
    "sh": 3.9,
    "json": 2.7,
    "lock": 2.4,
}
"""Measured; by file name extension."""
ORDINARY = 4.0
WORST = 2.0
"""How many times the ordinary count a text can have: the worst file measured had 1.97 times."""
ENOUGH = 30
"""Reports after which what was learned is trusted more than the worst."""
MARGIN = 1.25
FORGET = 0.999


def likely_tokens(size: int, extension: str = "") -> int:
    """Tokens of so many bytes of such a file, likely: for quotes and packing, never for reservations."""
    return round(size / BYTES_A_TOKEN.get(extension.lower().lstrip("."), ORDINARY))


class TokenCounter:
    """Counts high for one model, and learns from its reports how high is high enough."""

    def __init__(self) -> None:
        self._reports = 0
        self._highest = 0.0

    def count(self, text: str) -> int:
        """Tokens of a text, hardly ever fewer than the provider will count."""
        return int(len(text.encode("utf-8", "surrogatepass")) / ORDINARY * self._factor()) + 1

    def learn(self, text_bytes: int, reported: int) -> None:
        """The provider counted ``reported`` tokens in so many bytes. The highest ratio is forgotten slowly."""
        if text_bytes <= 0 or reported <= 0:
            return
        self._reports += 1
        self._highest = max(self._highest * FORGET, reported * ORDINARY / text_bytes)

    def _factor(self) -> float:
        if self._reports < ENOUGH:
            return max(WORST, self._highest * MARGIN)
        return max(1.0, self._highest * MARGIN)
