"""The ``strandline`` command as a person runs it: a process of its own, what it says, how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

COMMAND = Path(sys.executable).parent / "strandline"
PATIENCE = 60.0
_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def environment(data: Path, **more: str) -> dict[str, str]:
    """Ours without whatever of strandline the person who runs the tests has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRANDLINE_", "COLUMNS"))}
    return {**kept, "STRANDLINE_DATA_DIR": str(data), **more}


class Running:
    """A command under way; what it says on standard error can be waited for."""

    def __init__(self, arguments: Sequence[str | Path], env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(env),
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.output = ""
        self._ended = False
        self._more = threading.Condition()
        self._readers = [threading.Thread(target=self._read_errors), threading.Thread(target=self._read_output)]
        for reader in self._readers:
            reader.start()

    def says(self, pattern: str) -> str:
        """The first line on standard error that matches, waited for; fails when the command ends without it."""
        with self._more:
            self._more.wait_for(lambda: self._found(pattern) or self._ended, PATIENCE)
        found = self._found(pattern)
        assert found, f"never said {pattern!r}: {self.lines[-20:]}"
        return found

    def wait(self) -> int:
        """Its exit code, once all it said is read."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def _found(self, pattern: str) -> str:
        return next((line for line in self.lines if re.search(pattern, line)), "")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        self.output = self.process.stdout.read()


@contextlib.contextmanager
def running(*arguments: str | Path, env: Mapping[str, str]) -> Iterator[Running]:
    """A command that is killed when the block is left, should it still run."""
    command = Running(arguments, env)
    try:
        yield command
    finally:
        command.process.kill()
        command.wait()
        for stream in (command.process.stdout, command.process.stderr):
            assert stream is not None
            stream.close()


def run(*arguments: str | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command from its start to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=dict(env),
        timeout=PATIENCE,
        check=False,
    )


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=directory,
        env={**os.environ, **_GIT},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_repository(directory: Path, files: Mapping[str, str]) -> Path:
    """A repository of one commit on ``main``."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "-q", "-b", "main")
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "--allow-empty", "-m", "One")
    return directory
