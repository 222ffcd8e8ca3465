"""Names that last: a task keeps its id from scan to scan as long as its cause is the same."""

from __future__ import annotations

import json
from hashlib import blake2b


def task_id(repository_id: str, cause: tuple[str, ...]) -> str:
    """Twelve hex digits of the repository and the cause: short enough to type, far apart enough for 500 tasks."""
    return blake2b(json.dumps((repository_id, *cause)).encode(), digest_size=6).hexdigest()
