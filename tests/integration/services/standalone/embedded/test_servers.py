"""The embedded servers, real ones, through starts, stops and murders."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
import structlog
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from libs.db.database import open_database
from services.standalone.embedded.directory import hold_directory
from services.standalone.embedded.failure import EmbeddedFailed
from services.standalone.embedded.servers import Servers, embedded_servers
from tests.integration.services.standalone.embedded.processes import all_ended, holder_of, leader, running_on


async def jetstream(url: str) -> tuple[Client, JetStreamContext]:
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.01, error_cb=ignore)
    return client, client.jetstream()


async def ignore(_: Exception) -> None:
    """A server that goes away is what these tests are about."""


async def keep_something(nats_url: str, ledger_url: str) -> None:
    client, stream = await jetstream(nats_url)
    await stream.add_stream(name="KEPT", subjects=["kept.>"])
    await stream.publish("kept.one", b"a message")
    await client.close()
    connection = await asyncpg.connect(ledger_url)
    await connection.execute("CREATE TABLE ledger.kept (what text); INSERT INTO ledger.kept VALUES ('a row')")
    await connection.close()


async def what_was_kept(servers: Servers) -> tuple[bytes | None, str]:
    client, stream = await jetstream(servers.nats_url)
    message = await stream.get_msg("KEPT", seq=1)
    await client.close()
    connection = await asyncpg.connect(servers.database_url("ledger"))
    row = await connection.fetchval("SELECT what FROM ledger.kept")
    await connection.close()
    return message.data, row


async def test_both_servers_answer_and_nothing_is_left_when_they_are_stopped(data_dir: Path) -> None:
    async with embedded_servers(data_dir) as servers:
        await keep_something(servers.nats_url, servers.database_url("ledger"))
        assert {process.name() for process in running_on(data_dir)} >= {"nats-server", "postgres"}

    assert running_on(data_dir) == []


async def test_what_was_kept_survives_a_path_with_spaces_and_200_characters(data_dir: Path) -> None:
    data = data_dir / ("a long way, " * 17)
    data.mkdir()
    async with embedded_servers(data) as servers:
        await keep_something(servers.nats_url, servers.database_url("ledger"))

    async with embedded_servers(data) as servers:
        assert await what_was_kept(servers) == (b"a message", "a row")
        assert servers.postgres.sockets.is_dir()
    assert not servers.postgres.sockets.exists()


async def test_a_killed_holder_leaves_no_server_and_everything_it_kept(data_dir: Path) -> None:
    async with holder_of(data_dir) as holder:
        await keep_something(holder.nats_url, holder.ledger_url)
        servers_of_the_dead = [process for process in running_on(data_dir) if process.pid != holder.process.pid]
        holder.process.kill()

        async with hold_directory(data_dir) as holding, embedded_servers(holding.path) as servers:
            assert await what_was_kept(servers) == (b"a message", "a row")
            assert await all_ended(servers_of_the_dead)


async def test_servers_that_lost_holder_and_guardian_are_ended_by_the_next_start(data_dir: Path) -> None:
    async with holder_of(data_dir) as holder:
        await keep_something(holder.nats_url, holder.ledger_url)
        orphans = [leader(data_dir, "nats-server"), leader(data_dir, "postgres")]
        holder.process.send_signal(signal.SIGSTOP)
        for orphan in orphans:
            psutil.Process(orphan.ppid()).kill()
        holder.process.kill()
        await holder.process.wait()

        async with embedded_servers(data_dir) as servers:
            assert await what_was_kept(servers) == (b"a message", "a row")
            assert await all_ended(orphans)


async def test_a_dead_servers_pid_that_belongs_to_somebody_else_now_stops_nothing(data_dir: Path) -> None:
    async with embedded_servers(data_dir):
        pass
    lines = [str(os.getpid()), str(data_dir / "postgres" / "cluster"), "1", "5432", "", "", "1 1", "ready"]
    (data_dir / "postgres" / "cluster" / "postmaster.pid").write_text("\n".join(lines))

    async with embedded_servers(data_dir) as servers:
        connection = await asyncpg.connect(servers.database_url("ledger"))
        await connection.close()


@pytest.mark.parametrize("victim", ["server", "guardian"])
async def test_nats_is_restarted_where_it_was(data_dir: Path, victim: str) -> None:
    async with embedded_servers(data_dir) as servers:
        client, stream = await jetstream(servers.nats_url)
        await stream.add_stream(name="KEPT", subjects=["kept.>"])
        away, back = asyncio.Event(), asyncio.Event()
        client._disconnected_cb, client._reconnected_cb = _setting(away), _setting(back)
        server = leader(data_dir, "nats-server")

        with structlog.testing.capture_logs() as logs:
            (server if victim == "server" else psutil.Process(server.ppid())).kill()
            await away.wait()
            await back.wait()
            await stream.publish("kept.two", b"after")

        assert [log["server"] for log in logs if log["event"] == "server_restarted"] == ["nats"]
        assert leader(data_dir, "nats-server").pid != server.pid
        await client.close()


def _setting(event: asyncio.Event):  # type: ignore[no-untyped-def]
    async def set_event() -> None:
        event.set()

    return set_event


@pytest.mark.parametrize("victim", ["server", "guardian", "backend"])
async def test_postgres_is_restarted_where_it_was(data_dir: Path, victim: str) -> None:
    async with (
        embedded_servers(data_dir) as servers,
        open_database(servers.database_url("ledger"), "ledger") as database,
    ):
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE kept (what text); INSERT INTO kept VALUES ('a row')")
            backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
        server = leader(data_dir, "postgres")
        victims = {"server": server, "guardian": psutil.Process(server.ppid()), "backend": backend}

        victims[victim].kill()
        assert await all_ended([backend])

        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT what FROM kept") == "a row"


@pytest.mark.parametrize("name", ["nats-server", "initdb", "postgres"])
async def test_a_server_killed_while_it_starts_is_started_again(data_dir: Path, name: str) -> None:
    async def strike() -> None:
        while not (found := running_on(data_dir, name)):  # noqa: ASYNC110 - nothing announces a process
            await asyncio.sleep(0.001)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    killer = asyncio.create_task(strike())
    async with embedded_servers(data_dir) as servers:
        await killer
        await keep_something(servers.nats_url, servers.database_url("ledger"))


async def test_a_role_sees_nothing_of_another_roles_schema(data_dir: Path) -> None:
    async with embedded_servers(data_dir) as servers:
        await keep_something(servers.nats_url, servers.database_url("ledger"))
        reviewer = await asyncpg.connect(servers.database_url("reviewer"))

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reviewer.fetch("SELECT * FROM ledger.kept")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reviewer.execute("CREATE TABLE differ.mine ()")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reviewer.execute("CREATE SCHEMA mine")
        await reviewer.execute("CREATE TABLE reviewer.mine ()")
        await reviewer.close()


async def test_nats_refuses_whoever_does_not_know_the_password_and_no_argument_tells_it(data_dir: Path) -> None:
    async with embedded_servers(data_dir) as servers:
        reader, writer = await asyncio.open_connection("127.0.0.1", servers.nats.port)
        assert (await reader.readline()).startswith(b"INFO")
        writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert await reader.readline() == b"-ERR 'Authorization Violation'\r\n"
        writer.close()
        await writer.wait_closed()

        assert not any(servers.nats.password in part for process in running_on(data_dir) for part in process.cmdline())
        assert (data_dir / "nats" / "nats.conf").stat().st_mode & 0o777 == 0o600


async def test_a_store_that_was_destroyed_under_us_ends_the_block_with_the_reason(data_dir: Path) -> None:
    async def destroy() -> None:
        async with embedded_servers(data_dir):
            (data_dir / "postgres" / "cluster" / "global" / "pg_control").unlink()
            leader(data_dir, "postgres").kill()
            await asyncio.Event().wait()

    with pytest.raises(EmbeddedFailed, match=r"postgres died 5 times in a row: .*pg_control"):
        await destroy()

    assert running_on(data_dir) == []


async def test_what_the_block_raises_comes_out_as_it_is(data_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with embedded_servers(data_dir):
            raise ZeroDivisionError


async def test_a_cluster_of_another_version_is_refused_with_both_versions(data_dir: Path) -> None:
    (data_dir / "postgres" / "cluster").mkdir(parents=True)
    (data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("19\n")

    with pytest.raises(EmbeddedFailed, match="is of PostgreSQL 19, this is 18"):
        async with embedded_servers(data_dir):
            pass


async def test_a_cluster_that_was_never_finished_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres" / "cluster.new").mkdir(parents=True)
    (data_dir / "postgres" / "cluster.new" / "half").touch()

    async with embedded_servers(data_dir) as servers:
        await (await asyncpg.connect(servers.database_url("ledger"))).close()


async def test_a_full_disk_is_called_a_full_disk(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5_000_000))

    with pytest.raises(EmbeddedFailed, match="only 5 MB are free"):
        async with embedded_servers(data_dir):
            pass


async def test_a_platform_without_binaries_is_told_which_are_missing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: "/nowhere")
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(EmbeddedFailed, match="nats-server is missing"):
        async with embedded_servers(data_dir):
            pass
