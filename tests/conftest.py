"""Servers that the whole test run shares. Every test takes names of its own on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.nats import running_nats


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A NATS server with JetStream; its stream is shared, so use a scan id of your own."""
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server.url
