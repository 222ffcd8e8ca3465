"""Repositories that the stories are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import make_repository

RISKY = "import os\n\n\ndef run(command):\n    os.system('sh -c ' + command)\n    return eval(command)\n"
MANY = 300


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two files with findings, one of them of a name that nobody would choose."""
    return make_repository(
        tmp_path / "small", {"app.py": RISKY, "a\nb \x1b[31m[x].py": "def f():\n    return eval('1')\n"}
    )


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough files that a scan can be caught in the middle."""
    body = "\n".join(f"def f{n}(a, b):\n    if a:\n        return b + {n}\n    return a * b\n" for n in range(120))
    return make_repository(tmp_path / "many", {f"pkg/m{n}.py": f"# {n}\n{body}" for n in range(MANY)})
