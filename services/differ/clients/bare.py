"""One bare mirror: how it is made, fetched into, kept from growing, and which objects it protects.

One process owns it. Lock files that are there at first use were left by a kill, and are removed.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from services.differ.clients.git import Call, Git, GitFailed
from services.differ.clients.git_problems import problem_of
from services.differ.clients.limits import Limits
from services.differ.clients.remote import Head, Remote
from services.differ.clients.seed import copy_objects
from services.differ.ports import RepositoryProblem, Revision

SCANS = "refs/strandline/scans"
FETCHED = "refs/strandline/fetched"
_OID = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
_SCAN_ID = re.compile(r"^[A-Za-z0-9_-]{1,80}$")


def is_oid(text: str) -> bool:
    """Whether this is a whole object id."""
    return _OID.match(text) is not None


class BareMirror:
    """The git directory of one location, and the lock that lets one caller at a time change its refs."""

    def __init__(self, git: Git, git_dir: Path, limits: Limits) -> None:
        self.git_dir = git_dir
        self.lock = asyncio.Lock()
        self._git = git
        self._limits = limits
        self._clean = False

    @property
    def exists(self) -> bool:
        return self.git_dir.exists()

    @property
    def shallow(self) -> bool:
        """Whether history ends early because the repository's own does."""
        file = self.git_dir / "shallow"
        return file.exists() and file.stat().st_size > 0

    def call(
        self,
        *arguments: str,
        seconds: float | None = None,
        work_tree: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Call:
        """A call on this mirror, within the limits."""
        return Call(
            arguments=arguments,
            git_dir=self.git_dir,
            work_tree=work_tree,
            environment=environment or {},
            seconds=seconds or self._limits.seconds,
            most=self._limits.output_bytes,
        )

    async def run(self, *arguments: str, stdin: Sequence[bytes] = (), seconds: float | None = None) -> bytes:
        """The output of a call. Raises RepositoryProblem."""
        try:
            return await self._git.run(self.call(*arguments, seconds=seconds), stdin=stdin)
        except GitFailed as error:
            raise problem_of(error, "the repository") from error

    async def prepare(self, oid: str | None, *, seed: Path | None = None) -> None:
        """Make it if it is not there, with the object format of ``oid``; moved into place when complete.

        ``seed`` is the git directory of a place on disk whose objects a new mirror begins with.
        """
        if self.exists:
            if not self._clean:
                await asyncio.to_thread(_sweep, self.git_dir)
            self._clean = True
            return
        object_format = "sha256" if oid and len(oid) == 64 else "sha1"
        aside = Path(tempfile.mkdtemp(prefix="new-", dir=self.git_dir.parent))
        options = ("--quiet", "--bare", "--template=", f"--object-format={object_format}")
        await self._git.run(Call(arguments=("init", *options, str(aside)), git_dir=aside))
        if seed is not None and oid is not None:
            await asyncio.to_thread(copy_objects, seed / "objects", aside / "objects")
        await asyncio.to_thread(aside.rename, self.git_dir)
        self._clean = True

    async def fetch(self, remote: Remote, head: Head) -> Revision:
        """What the remote's ref is now, fetched if it is not here yet."""
        assert head.oid is not None
        ours = f"{FETCHED}/{blake2b(head.ref.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}"
        known = await self.revision(head.oid)
        if known is not None and await self._reaches(head.oid):
            await self.run("update-ref", ours, known.commit)
            return known
        call = Call(
            arguments=(
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--no-recurse-submodules",
                "--update-shallow",
                "--end-of-options",
                remote.fetch_from,
                f"+{head.ref}:{ours}",
            ),
            git_dir=self.git_dir,
            environment=remote.environment,
            protocols=remote.protocols,
            seconds=self._limits.fetch_seconds,
        )
        try:
            await self._git.run(call)
        except GitFailed as error:
            raise problem_of(error, remote.address) from error
        fetched = await self.revision(ours)
        if fetched is None:
            raise RepositoryProblem(f"{head.ref} of {remote.address} is no commit")
        return fetched

    async def revision(self, name: str) -> Revision | None:
        """Commit and tree of a revision that is here."""
        lines = [f"{name}^{{commit}}\n{name}^{{tree}}\n".encode("utf-8", "surrogateescape")]
        output = await self.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=lines)
        words = [line.split() for line in output.decode("utf-8", "replace").splitlines()]
        if [word[1:] for word in words] != [["commit"], ["tree"]]:
            return None
        return Revision(commit=words[0][0], tree=words[1][0])

    async def object_type(self, oid: str) -> str | None:
        """The type of an object, None when it is not here."""
        output = await self.run("cat-file", "--batch-check=%(objecttype)", stdin=[f"{oid}\n".encode()])
        kind = output.decode().strip()
        return None if " " in kind else kind

    async def keep(self, scan_id: str, *, tree: str, commit: str | None) -> None:
        """Protect a tree and a commit under the scan's name."""
        prefix = f"{SCANS}/{_checked(scan_id)}"
        lines = [f"update {prefix}/tree {tree}\n"]
        if commit is not None:
            lines.append(f"update {prefix}/commit {commit}\n")
        await self.run("update-ref", "--stdin", stdin=["".join(lines).encode()])

    async def release(self, scan_id: str) -> None:
        """Delete what ``keep`` made."""
        refs = await self.run("for-each-ref", "--format=delete %(refname)", f"{SCANS}/{_checked(scan_id)}/")
        if refs:
            await self.run("update-ref", "--stdin", stdin=[refs])

    async def tidy(self) -> None:
        """Pack many small fetches into one, and drop what no ref protects."""
        packs = await asyncio.to_thread(lambda: len(list((self.git_dir / "objects" / "pack").glob("*.pack"))))
        if packs > self._limits.packs:
            await self.run("repack", "-a", "-d", "--window=10", "--quiet", seconds=self._limits.fetch_seconds)
            await self.run("prune", "--expire=1.day.ago", seconds=self._limits.fetch_seconds)

    async def delete(self) -> None:
        """Remove it from disk."""
        await asyncio.to_thread(shutil.rmtree, self.git_dir, ignore_errors=True)
        self._clean = False

    async def _reaches(self, oid: str) -> bool:
        """Whether a fetch that ended has brought this commit: then everything below it is here, too."""
        output = await self.run("for-each-ref", "--count=1", f"--contains={oid}", "--format=%(refname)", FETCHED)
        return bool(output)


def _checked(scan_id: str) -> str:
    if not _SCAN_ID.match(scan_id):
        raise ValueError(f"{scan_id!r} is no scan id")
    return scan_id


def _sweep(git_dir: Path) -> None:
    for left_over in _left_overs(git_dir):
        left_over.unlink(missing_ok=True)


def _left_overs(git_dir: Path) -> Iterator[Path]:
    yield from git_dir.glob("*.lock")
    yield from (git_dir / "refs").rglob("*.lock")
    yield from (git_dir / "objects" / "pack").glob("tmp_*")
    yield from git_dir.glob("fast_import_crash_*")
