"""What chaos has in common: a seed, the processes that must be gone at the end, and a repository to scan."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import Sightings
from tests.chaos.repository import make_repository

FILES = 500


@pytest.fixture(scope="session")
def chaos_seed(request: pytest.FixtureRequest) -> int:
    """The one source of every random choice."""
    given: int | None = request.config.getoption("--chaos-seed")
    return secrets.randbits(32) if given is None else given


@pytest.fixture
def sightings() -> Iterator[Sightings]:
    """Whoever is seen here must be gone when the test is over."""
    seen = Sightings()
    yield seen
    assert seen.left() == []


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of 500 files."""
    return make_repository(tmp_path_factory.mktemp("chaos") / "project", FILES)
