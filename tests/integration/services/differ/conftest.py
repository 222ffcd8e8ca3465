"""Real repositories to scan, made by the git program, and mirrors in a folder that goes away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from libs.db.database import open_database
from libs.db.migrations import migrate
from services.differ.clients.mirror import GitMirrors
from services.differ.store import PostgresRepositories
from tests.integration.services.differ.scene import Office, open_office

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Repository:
    """A repository under test; ``git`` is the user's own git, with all that its configuration does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    @property
    def location(self) -> str:
        return str(self.path)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], input=stdin, capture_output=True, env=ENVIRONMENT, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def start(self, *options: str) -> Repository:
        self.git("init", "-q", "-b", "main", *options)
        return self

    def write(self, **files: str) -> Repository:
        """Files by name, ``__`` for a slash and ``_dot_`` for a dot."""
        for name, content in files.items():
            self.put(name.replace("__", "/").replace("_dot_", "."), content.encode())
        return self

    def put(self, name: str, content: bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def mirrors(tmp_path: Path) -> GitMirrors:
    return GitMirrors(tmp_path / "mirrors")


@pytest.fixture
def make_repository(tmp_path: Path) -> Callable[[str], Repository]:
    return lambda name: Repository(tmp_path / name)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit with two files."""
    made = Repository(tmp_path / "repository").start()
    made.write(a_dot_py="print(1)\n", src__b_dot_py="print(2)\n").commit()
    return made


async def listed(mirrors: GitMirrors, location: str, tree: str) -> dict[bytes, bytes | None]:
    """Every path of a tree with its content."""
    entries = await mirrors.list_tree(location, tree)
    contents: dict[str, bytes | None] = {}
    async for batch in mirrors.read(location, [entry.oid for entry in entries], most=1 << 20):
        contents.update(batch)
    return {entry.path: contents[entry.oid] for entry in entries}


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresRepositories]:
    async with open_database(database_url, "differ", connections=10) as database:
        await migrate(database, "services.differ")
        yield PostgresRepositories(database)


@pytest.fixture
async def office(store: PostgresRepositories, tmp_path: Path) -> AsyncIterator[Office]:
    """A differ whose analyzers and ledger are played by the test."""
    async with open_office(store, tmp_path / "mirrors") as office:
        yield office
