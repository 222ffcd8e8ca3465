"""Bare mirrors of scanned repositories: fetched from where they are, then read by plumbing alone.

A place on disk is fetched like any other, after a copy of its objects. Borrowing them (alternates, hard links) would
be faster still, but the user's ``git gc`` could then take away a tree that a scan still reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from libs.events.subjects import slug
from services.differ.clients.bare import BareMirror, is_oid
from services.differ.clients.git import Call, Git, GitFailed, TooSlow
from services.differ.clients.git_output import (
    BlobParser,
    parse_attributes,
    parse_raw_diff,
    parse_sizes,
    parse_tree,
    safe_in_index,
    with_sizes,
)
from services.differ.clients.git_problems import problem_of
from services.differ.clients.limits import Limits
from services.differ.clients.remote import Head, Remote, check_branch, open_remote, parse_heads
from services.differ.clients.snapshot import snapshot_work_tree
from services.differ.domain.location import public_address
from services.differ.domain.tree import Attributes, Change, Entry
from services.differ.ports import Contents, RepositoryProblem, Revision, Snapshot

_REVISION = re.compile(r"^(?P<name>[^~^]+)(?P<suffix>(?:[~^][0-9]*)*)$")
_HEX = re.compile(r"^[0-9a-f]{7,64}$")
SHALLOW = "the clone is shallow: churn and ancestry are known only as far as its history goes"


class GitMirrors:
    """``Mirrors`` by the git program, in a folder of its own. One process per folder."""

    def __init__(
        self,
        folder: Path,
        *,
        protocols: Sequence[str] = ("https", "ssh"),
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._protocols = tuple(protocols)
        self._limits = limits or Limits()
        self._git = Git(self._folder / "home", environment=environment)
        self._anywhere = BareMirror(self._git, self._folder / "anywhere.git", self._limits)
        self._mirrors: dict[str, BareMirror] = {}

    async def snapshot(self, location: str, branch: str | None, *, scan_id: str) -> Snapshot:
        remote, mirror = await self._open(location), self._mirror(location)
        async with mirror.lock:
            head = await self._ask_head(remote, branch)
            await mirror.prepare(head.oid, seed=remote.checkout.common_dir if remote.checkout else None)
            committed = await mirror.fetch(remote, head) if head.oid else None
            if remote.checkout is not None and remote.checkout.root is not None and branch is None:
                snapshot = await snapshot_work_tree(
                    self._git, mirror, remote.checkout, head=head, committed=committed, limits=self._limits
                )
            elif committed is None:
                raise RepositoryProblem(f"{remote.address} has no commits", mend="commit something first")
            else:
                snapshot = Snapshot(commit=committed.commit, tree=committed.tree, branch=head.branch)
            await mirror.keep(scan_id, tree=snapshot.tree, commit=snapshot.commit)
            await mirror.tidy()
        return _with_shallowness(snapshot) if mirror.shallow else snapshot

    async def list_tree(self, location: str, tree: str) -> list[Entry]:
        output = await self._list(location, tree)
        entries = await asyncio.to_thread(parse_tree, output)
        if len(entries) > self._limits.files:
            raise RepositoryProblem(f"the tree holds {len(entries)} files, more than {self._limits.files}")
        return entries

    async def compare(self, location: str, base_tree: str, tree: str) -> list[Change]:
        mirror = self._mirror(location)
        options = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev")
        trees = ("--end-of-options", base_tree, tree)
        try:
            output = await mirror.run(*options, "-M", "-l1000", *trees, seconds=self._limits.rename_seconds)
        except TooSlow:
            output = await mirror.run(*options, "--no-renames", *trees)
        changes = await asyncio.to_thread(parse_raw_diff, output)
        asked = [f"{oid}\n".encode() for oid in sorted({change.entry.oid for change in changes})]
        sizes = parse_sizes(await mirror.run("cat-file", "--batch-check", stdin=[b"".join(asked)])) if asked else {}
        return with_sizes(changes, sizes)

    async def read(self, location: str, oids: Sequence[str], *, most: int) -> AsyncGenerator[Contents, None]:
        wanted = list(dict.fromkeys(oids))
        parser, mirror = BlobParser(wanted, most=most), self._mirror(location)
        call = Call(
            arguments=("cat-file", "--batch"),
            git_dir=mirror.git_dir,
            seconds=self._limits.read_seconds,
            most=len(wanted) * (most + 200) + (1 << 40),
        )
        try:
            async with aclosing(self._git.stream(call, stdin=_lines(wanted))) as chunks:
                async for chunk in chunks:
                    if batch := parser.feed(chunk):
                        yield batch
        except GitFailed as error:
            raise problem_of(error, public_address(location)) from error

    async def churn(self, location: str, commit: str) -> dict[bytes, int]:
        counts: dict[bytes, int] = {}
        with contextlib.suppress(TooSlow, GitFailed, RepositoryProblem):
            async for path in self._touched(self._mirror(location), commit):
                counts[path] = counts.get(path, 0) + 1
        return counts

    async def attributes(self, location: str, tree: str, paths: Sequence[bytes]) -> Mapping[bytes, Attributes]:
        output = await self._list(location, tree)
        if b".gitattributes\0" not in output or not paths:
            return {}
        files = [
            entry
            for entry in await asyncio.to_thread(parse_tree, output)
            if entry.path.rsplit(b"/", 1)[-1] == b".gitattributes" and safe_in_index(entry.path)
        ]
        asked = [path for path in paths if safe_in_index(path)]
        return await self._check_attributes(self._mirror(location), files, asked)

    async def resolve(self, location: str, revision: str, *, head: str | None = None) -> Revision:
        match = _REVISION.match(revision)
        if match is None:
            raise RepositoryProblem(f"{revision!r} is no revision", mend="name a commit, a branch or a tag")
        remote, mirror = await self._open(location), self._mirror(location)
        name, suffix = "HEAD" if match["name"] == "@" else match["name"], match["suffix"]
        name = head if head is not None and name == "HEAD" else check_branch(name)
        async with mirror.lock:
            await mirror.prepare(name)
            found = await mirror.revision(name + suffix) if _HEX.match(name) else None
            if found is None:
                oid = await self._fetch_named(remote, mirror, name)
                found = await mirror.revision(oid + suffix) if oid else None
        if found is None:
            raise RepositoryProblem(f"{remote.address} has no revision {revision!r}")
        return found

    async def is_ancestor(self, location: str, older: str, newer: str) -> bool:
        mirror = self._mirror(location)
        if not (mirror.exists and is_oid(older) and is_oid(newer)):
            return False
        try:
            await self._git.run(mirror.call("merge-base", "--is-ancestor", older, newer))
        except GitFailed:
            return False
        return True

    async def holds(self, location: str, tree: str) -> bool:
        mirror = self._mirror(location)
        return mirror.exists and is_oid(tree) and await mirror.object_type(tree) == "tree"

    async def keep(self, location: str, scan_id: str, *, tree: str, commit: str | None = None) -> None:
        mirror = self._mirror(location)
        async with mirror.lock:
            await mirror.keep(scan_id, tree=tree, commit=commit)

    async def release(self, location: str, scan_id: str) -> None:
        mirror = self._mirror(location)
        async with mirror.lock:
            if mirror.exists:
                await mirror.release(scan_id)

    async def remove(self, location: str) -> None:
        mirror = self._mirror(location)
        async with mirror.lock:
            await mirror.delete()

    async def _open(self, location: str) -> Remote:
        await asyncio.to_thread(self._git.prepare)
        async with self._anywhere.lock:
            await self._anywhere.prepare(None)
        return await asyncio.to_thread(open_remote, location, self._protocols)

    def _mirror(self, location: str) -> BareMirror:
        """Two spellings of a path are two mirrors; the credentials of an address are no part of its name."""
        address = public_address(location)
        if address not in self._mirrors:
            digest = blake2b(address.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
            name = slug(re.sub(r"(?:/?\.git)?/*$", "", address).rsplit("/", 1)[-1])
            self._mirrors[address] = BareMirror(self._git, self._folder / f"{name}-{digest}.git", self._limits)
        return self._mirrors[address]

    async def _list(self, location: str, tree: str) -> bytes:
        if not is_oid(tree):
            raise RepositoryProblem(f"{tree!r} is no tree")
        return await self._mirror(location).run("ls-tree", "-r", "-z", "-l", "--full-tree", tree)

    async def _ask_head(self, remote: Remote, branch: str | None) -> Head:
        patterns = ("HEAD",) if branch is None else (f"refs/heads/{check_branch(branch)}", f"refs/tags/{branch}")
        head = parse_heads(await self._ask(remote, *patterns), branch)
        if head is None:
            raise RepositoryProblem(f"{remote.address} has no branch {branch!r}", mend="check the name")
        return head

    async def _ask(self, remote: Remote, *patterns: str) -> bytes:
        call = Call(
            arguments=("ls-remote", "--symref", "--end-of-options", remote.fetch_from, *patterns),
            git_dir=self._anywhere.git_dir,
            environment=remote.environment,
            protocols=remote.protocols,
            seconds=self._limits.seconds,
            most=16 << 20,
        )
        try:
            return await self._git.run(call)
        except GitFailed as error:
            raise problem_of(error, remote.address) from error

    async def _fetch_named(self, remote: Remote, mirror: BareMirror, name: str) -> str | None:
        """Fetch a branch, a tag, HEAD or a whole commit id by its name at the remote."""
        if is_oid(name):
            head: Head | None = Head(ref=name, oid=name, branch=None)
        elif name == "HEAD":
            head = parse_heads(await self._ask(remote, "HEAD"), None)
        else:
            head = parse_heads(await self._ask(remote, f"refs/heads/{name}", f"refs/tags/{name}"), name)
        if head is None or head.oid is None:
            return None
        try:
            return (await mirror.fetch(remote, head)).commit
        except RepositoryProblem as problem:
            if problem.passing:
                raise
            return None

    async def _touched(self, mirror: BareMirror, commit: str) -> AsyncGenerator[bytes, None]:
        seconds, most = self._limits.churn_seconds, str(self._limits.churn_commits)
        history = mirror.call("rev-list", "--no-merges", "-n", most, "--end-of-options", commit, seconds=seconds)
        commits = await self._git.run(history)
        options = ("diff-tree", "--stdin", "-r", "-z", "--name-only", "--no-commit-id", "--no-renames")
        rest = b""
        async with aclosing(self._git.stream(mirror.call(*options, seconds=seconds), stdin=iter([commits]))) as chunks:
            async for chunk in chunks:
                *paths, rest = (rest + chunk).split(b"\0")
                for path in paths:
                    yield path

    async def _check_attributes(
        self, mirror: BareMirror, files: Sequence[Entry], paths: Sequence[bytes]
    ) -> dict[bytes, Attributes]:
        """Ask git with an index that holds the attribute files and nothing else (2.39 cannot read them from a tree)."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="index-") as aside:
            environment = {"GIT_INDEX_FILE": str(Path(aside) / "index")}
            lines = [b"%o %s\t%s\0" % (file.mode, file.oid.encode(), file.path) for file in files]
            try:
                filling = mirror.call("update-index", "-z", "--index-info", environment=environment)
                await self._git.run(filling, stdin=lines)
                asking = ("check-attr", "--cached", "--stdin", "-z", "linguist-generated", "linguist-vendored")
                asked = (b"".join(path + b"\0" for path in batch) for batch in _batches(paths))
                output = bytearray()
                call = mirror.call(*asking, environment=environment)
                async with aclosing(self._git.stream(call, stdin=asked)) as chunks:
                    async for chunk in chunks:
                        output += chunk
            except GitFailed as error:
                raise problem_of(error, "the repository") from error
        return await asyncio.to_thread(parse_attributes, bytes(output))


def _with_shallowness(snapshot: Snapshot) -> Snapshot:
    return Snapshot(
        commit=snapshot.commit,
        tree=snapshot.tree,
        branch=snapshot.branch,
        uncommitted=snapshot.uncommitted,
        shallow=True,
        warnings=(*snapshot.warnings, SHALLOW),
    )


def _lines(oids: Sequence[str]) -> Iterator[bytes]:
    waiting = iter(oids)
    while batch := list(islice(waiting, 2000)):
        yield ("\n".join(batch) + "\n").encode()


def _batches(paths: Sequence[bytes]) -> Iterator[list[bytes]]:
    waiting = iter(paths)
    while batch := list(islice(waiting, 2000)):
        yield batch
