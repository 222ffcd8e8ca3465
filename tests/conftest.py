"""Servers that the whole test run shares. Every test takes names of its own on them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.nats import running_nats
from tests.servers.postgres import TestDatabase, fresh_database, running_postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-kills", type=int, help="How often tests/chaos kills something; few where none is said.")
    parser.addoption("--chaos-seed", type=int, help="Repeats the random choices of a chaos run, which prints its seed.")


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A NATS server with JetStream; its stream is shared, so use a scan id of your own."""
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server's superuser URL, one server a worker. Take ``database_url`` unless you need the server."""
    with running_postgres() as server:
        yield server.url


@pytest.fixture
async def test_database(postgres_url: str) -> AsyncIterator[TestDatabase]:
    """A database of the test's own with the schemas ``differ``, ``ledger`` and ``reviewer``, all empty."""
    async with fresh_database(postgres_url, "differ", "ledger", "reviewer") as database:
        yield database


@pytest.fixture
def database_url(test_database: TestDatabase) -> str:
    """The URL for ``open_database(database_url, "ledger")``: empty schemas, dropped afterwards."""
    return test_database.url


@pytest.fixture
def fresh_schema(test_database: TestDatabase) -> Callable[[str], Awaitable[str]]:
    """``await fresh_schema(name)`` makes that schema in the test's database and returns the URL to open it with."""
    return test_database.fresh_schema


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data directory for embedded servers, removed afterwards.

    Not in ``tmp_path``: as root PostgreSQL runs under another account, and each pytest that starts shuts its
    temp directory to other accounts again, under the servers of those that run.
    """
    with tempfile.TemporaryDirectory(prefix="strandline-data-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()
