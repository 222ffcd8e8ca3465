"""Holding a data directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from services.standalone.embedded.directory import EmbeddedFailed, Held, hold_directory
from tests.integration.services.standalone.embedded.processes import holder_of


async def test_the_directory_is_made_for_us_alone(data_dir: Path) -> None:
    async with hold_directory(data_dir / "new" / "data") as holding:
        assert holding.path.stat().st_mode & 0o777 == 0o700
        assert holding.socket.parent.stat().st_mode & 0o777 == 0o700


async def test_a_second_holder_is_told_of_the_first(data_dir: Path) -> None:
    async with holder_of(data_dir) as first:
        with pytest.raises(Held) as held:
            async with hold_directory(data_dir, patience=0):
                pass

        assert held.value.pid == first.process.pid
        assert held.value.socket == data_dir / "run" / "strandline.sock"


async def test_a_holder_that_is_going_is_waited_for(data_dir: Path) -> None:
    async with holder_of(data_dir) as first:
        first.process.kill()

        async with hold_directory(data_dir, patience=60) as holding:
            assert holding.path == data_dir


async def test_a_process_cannot_hold_a_directory_twice(data_dir: Path) -> None:
    async with hold_directory(data_dir) as holding:
        with pytest.raises(Held) as held:
            async with hold_directory(data_dir):
                pass

        assert (held.value.pid, held.value.socket) == (os.getpid(), holding.socket)


async def test_a_directory_that_was_left_can_be_held_again(data_dir: Path) -> None:
    async with hold_directory(data_dir):
        pass

    async with hold_directory(data_dir) as holding:
        assert json.loads((data_dir / "holder.json").read_text())["pid"] == os.getpid()
        assert holding.path == data_dir


async def test_what_a_dead_holder_said_does_not_count(data_dir: Path) -> None:
    (data_dir / "holder.json").write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "socket": "/gone"}))
    (data_dir / "run").mkdir(mode=0o700)
    (data_dir / "run" / "strandline.sock").touch()

    async with hold_directory(data_dir) as holding:
        assert not holding.socket.exists()


async def test_a_long_path_gets_a_short_socket_that_is_removed_with_its_directory(data_dir: Path) -> None:
    async with hold_directory(data_dir / ("long " * 30)) as holding:
        assert len(os.fsencode(holding.socket)) < 100
        assert holding.socket.parent.is_dir()

    assert not holding.socket.parent.exists()


async def test_a_file_is_not_a_data_directory(data_dir: Path) -> None:
    (data_dir / "file").touch()

    with pytest.raises(EmbeddedFailed, match="file is not a directory"):
        async with hold_directory(data_dir / "file"):
            pass
    with pytest.raises(EmbeddedFailed, match="is not a directory"):
        async with hold_directory(data_dir / "file" / "below"):
            pass


async def test_a_place_where_nothing_can_be_made_is_refused_in_a_sentence() -> None:
    with pytest.raises(EmbeddedFailed, match="/proc/strandline cannot be used: "):
        async with hold_directory(Path("/proc/strandline")):
            pass


async def test_a_directory_of_a_newer_version_is_left_alone(data_dir: Path) -> None:
    (data_dir / "layout").write_text("2")

    with pytest.raises(EmbeddedFailed, match="newer version"):
        async with hold_directory(data_dir):
            pass


async def test_errors_of_whoever_holds_the_directory_are_not_ours_to_explain(data_dir: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with hold_directory(data_dir):
            raise FileNotFoundError


async def test_a_socket_directory_that_somebody_else_put_there_is_refused(data_dir: Path) -> None:
    (data_dir / "elsewhere").mkdir()
    (data_dir / "run").symlink_to(data_dir / "elsewhere")

    with pytest.raises(EmbeddedFailed, match="somebody else"):
        async with hold_directory(data_dir):
            pass
