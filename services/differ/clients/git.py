"""git as a child process that obeys nobody else: an environment from scratch, limits on time and output.

Only plumbing runs here, and only with a mirror of our own as its repository: the configuration, hooks, filters
and attributes of a scanned repository are never in force. The one git that opens a user's repository is the
``upload-pack`` behind a fetch from a path; the file named by GIT_CONFIG_GLOBAL reaches it where ``-c`` does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from services.differ.domain.location import redact
from services.differ.ports import RepositoryProblem

Waited = TypeVar("Waited")

CHUNK = 1 << 20
MAX_STDERR = 64 * 1024
SEARCHED = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"

# Given on the command line, so that they win over anything that is read from a file.
OVERRIDES = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.alternateRefsCommand=",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.quotePath=false",
    "core.precomposeUnicode=false",
    "core.protectHFS=false",
    "core.protectNTFS=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "transfer.credentialsInUrl=allow",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "diff.renameLimit=1000",
    "pack.threads=2",
    "index.threads=1",
)

# What the upload-pack of a fetch from a path reads. Any owner is fine: its files are data to us. Small
# packs pay over a network, not over a pipe.
PROTECTED = """[safe]
\tdirectory = *
[core]
\tfsmonitor = false
\thooksPath = /dev/null
[gc]
\tauto = 0
[pack]
\twindow = 0
\tcompression = 1
"""


class GitFailed(Exception):
    """git ended with an error; what it said, credentials taken out."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"git ended with {code}: {said[-300:]}")
        self.code = code
        self.said = said


class TooSlow(RepositoryProblem):
    """A git call did not end in its time."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One git call. ``protocols`` are what it may fetch by; none: nothing at all."""

    arguments: Sequence[str]
    git_dir: Path
    work_tree: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    protocols: Sequence[str] = ()
    seconds: float = 120.0
    most: int = 512 * 1024 * 1024


class Git:
    """Runs git. ``environment`` is passed on: the SSH agent's socket, proxies, certificate files, GIT_SSH_COMMAND."""

    def __init__(self, home: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._passed_on = dict(environment or {})

    def prepare(self) -> None:
        """Write the configuration that stands in for the user's and the system's."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._home / "protected.gitconfig").write_text(PROTECTED)

    async def run(self, call: Call, *, stdin: Sequence[bytes] = ()) -> bytes:
        """Standard output of a call that must succeed.

        Raises:
            GitFailed: it ended with an error.
            RepositoryProblem: it took too long or said too much.
        """
        output = bytearray()
        async for chunk in self.stream(call, stdin=iter(stdin)):
            output += chunk
        return bytes(output)

    async def stream(self, call: Call, *, stdin: Iterator[bytes] | None = None) -> AsyncGenerator[bytes, None]:
        """Standard output in chunks, while ``stdin`` is written from another thread. Raises like ``run``."""
        size, patience = 0, _Patience(call)
        async with self._process(call, stdin or iter(())) as (process, stderr):
            assert process.stdout is not None
            while chunk := await patience.wait_for(process.stdout.read(CHUNK)):
                size += len(chunk)
                if size > call.most:
                    raise RepositoryProblem(
                        f"git {call.arguments[0]} gave more than {call.most} bytes of output",
                        mend="the repository is too large to be scanned as one",
                    )
                yield chunk
            code = await patience.wait_for(process.wait())
            said = await patience.wait_for(stderr)
        if code:
            raise GitFailed(code, said)

    @contextlib.asynccontextmanager
    async def _process(
        self, call: Call, stdin: Iterator[bytes]
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.Task[str]]]:
        process = await asyncio.create_subprocess_exec(
            "git",
            *self._options(call),
            *call.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._home,
            env=self._environment(call),
            start_new_session=True,
            limit=CHUNK,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        feeding = asyncio.create_task(_feed(process.stdin, stdin))
        listening = asyncio.create_task(_listen(process.stderr))
        finished = False
        try:
            yield process, listening
            await feeding
            finished = True
        finally:
            if not finished:
                _kill_group(process)
            for task in (feeding, listening):
                task.cancel()
            await asyncio.gather(feeding, listening, return_exceptions=True)
            await _ended(process)

    def _options(self, call: Call) -> list[str]:
        options = [f"--git-dir={call.git_dir}", "--no-pager", "--literal-pathspecs"]
        if call.work_tree is not None:
            options.append(f"--work-tree={call.work_tree}")
        for override in OVERRIDES:
            options += ["-c", override]
        return options

    def _environment(self, call: Call) -> dict[str, str]:
        return {
            "PATH": SEARCHED,
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20 -o ClearAllForwardings=yes",
            "GIT_SSH_VARIANT": "ssh",
            **self._passed_on,
            **call.environment,
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "protected.gitconfig"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(call.protocols) or "none",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_PROTOCOL_FROM_USER": "0",
        }


class _Patience:
    """The time a call has, of which only waiting for git is taken: a slow reader of its output is not its fault."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._left = call.seconds

    async def wait_for(self, waited: Awaitable[Waited]) -> Waited:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._left):
                return await waited
        except TimeoutError:
            name, seconds = self._call.arguments[0], self._call.seconds
            raise TooSlow(f"git {name} took longer than {seconds:g} seconds and was stopped", passing=True) from None
        finally:
            self._left -= clock() - began


async def _feed(stdin: asyncio.StreamWriter, chunks: Iterator[bytes]) -> None:
    """Write what the iterator makes, in a thread since it may read files. A reader that has gone is no error here."""
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                stdin.write(chunk)
                await stdin.drain()
    finally:
        stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await stdin.wait_closed()


async def _listen(stderr: asyncio.StreamReader) -> str:
    said = bytearray()
    while chunk := await stderr.read(4096):
        if len(said) < MAX_STDERR:
            said += chunk
    return redact(said[:MAX_STDERR].decode("utf-8", "replace"))


def _kill_group(process: asyncio.subprocess.Process) -> None:
    """The group, not the child: git runs helpers (upload-pack, ssh, index-pack) that would live on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a killed process even when we are cancelled meanwhile: nothing may be left running."""
    waiting = asyncio.ensure_future(process.wait())
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(waiting)
