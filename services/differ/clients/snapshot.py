"""A work tree as one tree id: its uncommitted and untracked files written into the mirror over the commit."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing
from pathlib import Path

from services.differ.clients import worktree
from services.differ.clients.bare import BareMirror
from services.differ.clients.git import Git, GitFailed
from services.differ.clients.git_output import parse_tree
from services.differ.clients.git_problems import problem_of
from services.differ.clients.limits import Limits
from services.differ.clients.remote import Head
from services.differ.clients.worktree import Checkout, Difference
from services.differ.domain.tree import Entry
from services.differ.ports import RepositoryProblem, Revision, Snapshot

WORK_TREE = "refs/strandline/worktree"


async def snapshot_work_tree(
    git: Git, mirror: BareMirror, checkout: Checkout, *, head: Head, committed: Revision | None, limits: Limits
) -> Snapshot:
    """The snapshot of what is on disk. Nothing of the checkout's own configuration is in force.

    Raises:
        RepositoryProblem: there is nothing, or too much, or it cannot be read.
    """
    assert checkout.root is not None
    entries = await _committed_entries(mirror, committed)
    oid_bytes = len(committed.commit) // 2 if committed else 20
    index, warning = await asyncio.to_thread(worktree.read_index, checkout, oid_bytes=oid_bytes)
    untracked, nested = await _untracked(git, mirror, checkout, limits)
    nested = [folder for folder in nested if folder.rstrip(b"/") not in entries]
    differences = await asyncio.to_thread(
        worktree.find_differences, checkout.root, head=entries, index=index, untracked=untracked
    )
    if committed is None and not differences:
        raise RepositoryProblem(f"{checkout.root} has no commits and no files", mend="commit something first")
    written = await _write(git, mirror, checkout.root, differences, committed, limits) if differences else committed
    assert written is not None
    warnings = [warning] if warning else []
    if nested:
        warnings.append(f"{len(nested)} repositories inside this one are not scanned, the first is {_shown(nested[0])}")
    return Snapshot(
        commit=committed.commit if committed else None,
        tree=written.tree,
        branch=head.branch,
        uncommitted=committed is None or written.tree != committed.tree,
        warnings=tuple(warnings),
    )


async def _committed_entries(mirror: BareMirror, committed: Revision | None) -> dict[bytes, Entry]:
    if committed is None:
        return {}
    output = await mirror.run("ls-tree", "-r", "-z", "-l", "--full-tree", committed.tree)
    return {entry.path: entry for entry in await asyncio.to_thread(parse_tree, output)}


async def _untracked(
    git: Git, mirror: BareMirror, checkout: Checkout, limits: Limits
) -> tuple[list[bytes], list[bytes]]:
    """Every file on disk that is not ignored, and the repositories nested in it.

    git lists them with an empty index and the mirror's configuration; ignore files are data.
    """
    with tempfile.TemporaryDirectory(dir=mirror.git_dir.parent, prefix="index-") as aside:
        exclude = Path(aside) / "exclude"
        exclude.write_bytes(await asyncio.to_thread(worktree.read_exclude, checkout))
        call = mirror.call(
            "ls-files",
            "--others",
            "-z",
            f"--exclude-from={exclude}",
            "--exclude-per-directory=.gitignore",
            work_tree=checkout.root,
            environment={"GIT_INDEX_FILE": str(Path(aside) / "index")},
        )
        try:
            output = await git.run(call)
        except GitFailed as error:
            raise problem_of(error, str(checkout.root)) from error
    paths = output.split(b"\0")[:-1]
    if len(paths) > limits.files:
        raise RepositoryProblem(
            f"the work tree holds {len(paths)} files, more than {limits.files}",
            mend="add what need not be scanned to .gitignore",
        )
    return [path for path in paths if path[-1:] != b"/"], [path for path in paths if path[-1:] == b"/"]


async def _write(
    git: Git,
    mirror: BareMirror,
    root: Path,
    differences: list[Difference],
    committed: Revision | None,
    limits: Limits,
) -> Revision:
    """One commit of the differences, its date fixed: the same files make the same objects."""
    commands = worktree.import_stream(
        root,
        differences,
        ref=WORK_TREE,
        parent=committed.commit if committed else None,
        most=limits.omit_bytes,
        most_in_all=limits.uncommitted_bytes,
    )
    call = mirror.call("fast-import", "--quiet", "--force", "--done", seconds=limits.fetch_seconds)
    try:
        async with aclosing(git.stream(call, stdin=commands)) as chunks:
            async for _ in chunks:
                pass
    except GitFailed as error:
        raise problem_of(error, str(root)) from error
    written = await mirror.revision(WORK_TREE)
    if written is None:
        raise RepositoryProblem(f"the uncommitted files of {root} could not be written")
    return written


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")[:200]
