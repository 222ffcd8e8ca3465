"""A local work tree counts with what is on disk, as one tree, and nothing outside of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from services.differ.clients.limits import Limits
from services.differ.clients.mirror import GitMirrors
from services.differ.ports import RepositoryProblem
from tests.integration.services.differ.conftest import Repository, listed


async def test_a_clean_work_tree_is_the_tree_of_its_commit(mirrors: GitMirrors, repository: Repository) -> None:
    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert snapshot.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert (snapshot.commit, snapshot.branch, snapshot.uncommitted) == (
        repository.git("rev-parse", "HEAD"),
        "main",
        False,
    )


async def test_uncommitted_untracked_and_deleted_files_count_and_ignored_ones_do_not(
    mirrors: GitMirrors, repository: Repository
) -> None:
    repository.write(_dot_gitignore="*.log\n", kept_dot_log="x").git("add", "-f", "kept.log")
    repository.commit()
    repository.write(
        a_dot_py="changed\n", new__c_dot_py="new\n", ignored_dot_log="i", kept_dot_log="y", local_dot_tmp="t"
    )
    repository.put(".git/info/exclude", b"*.tmp\n")
    (repository.path / "src/b.py").unlink()

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert snapshot.uncommitted
    assert await listed(mirrors, repository.location, snapshot.tree) == {
        b".gitignore": b"*.log\n",
        b"a.py": b"changed\n",
        b"kept.log": b"y",
        b"new/c.py": b"new\n",
    }


async def test_staged_files_and_staged_removals_count(mirrors: GitMirrors, repository: Repository) -> None:
    repository.write(_dot_gitignore="*.py\n", staged_dot_txt="staged\n").git("add", "staged.txt")
    repository.git("rm", "-q", "--cached", "a.py")

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert set(await listed(mirrors, repository.location, snapshot.tree)) == {b".gitignore", b"staged.txt", b"src/b.py"}


@pytest.mark.parametrize("version", ["2", "3", "4"])
async def test_every_version_of_the_index_is_read(mirrors: GitMirrors, repository: Repository, version: str) -> None:
    repository.git("update-index", "--index-version", version)
    repository.write(late_dot_py="late\n").git("add", "-N", "late.py")

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert snapshot.warnings == ()
    assert set(await listed(mirrors, repository.location, snapshot.tree)) == {b"a.py", b"src/b.py", b"late.py"}


async def test_a_split_or_damaged_index_costs_time_and_nothing_else(
    mirrors: GitMirrors, repository: Repository
) -> None:
    repository.put(".git/index", b"DIRC" + b"\xff" * 40)

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert not snapshot.uncommitted
    assert "every file is read" in snapshot.warnings[0]


async def test_a_sparse_checkout_is_not_taken_for_deleted_files(mirrors: GitMirrors, repository: Repository) -> None:
    repository.git("sparse-checkout", "set", "--no-cone", "/a.py")
    assert not (repository.path / "src/b.py").exists()

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert not snapshot.uncommitted


async def test_a_file_of_the_same_size_written_in_the_same_moment_as_the_index_is_seen(
    mirrors: GitMirrors, repository: Repository
) -> None:
    index = (repository.path / ".git/index").stat()
    file = repository.put("a.py", b"print(9)\n")
    os.utime(file, ns=(index.st_mtime_ns, index.st_mtime_ns))

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert snapshot.uncommitted


async def test_a_work_tree_without_commits_is_its_files(mirrors: GitMirrors, make_repository: object) -> None:
    repository = make_repository("fresh").start().write(a_dot_py="1\n")  # type: ignore[operator]

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert snapshot.commit is None
    assert await listed(mirrors, repository.location, snapshot.tree) == {b"a.py": b"1\n"}


async def test_links_are_recorded_and_never_followed(
    mirrors: GitMirrors, repository: Repository, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "b.py").write_text("secret")
    (repository.path / "link").symlink_to(secret / "b.py")
    (repository.path / "src/b.py").unlink()
    (repository.path / "src").rmdir()
    (repository.path / "src").symlink_to(secret)

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
    files = await listed(mirrors, repository.location, snapshot.tree)

    assert files == {b"a.py": b"print(1)\n", b"link": str(secret / "b.py").encode(), b"src": str(secret).encode()}


async def test_pipes_sockets_and_nested_repositories_are_left_alone(
    mirrors: GitMirrors, repository: Repository
) -> None:
    os.mkfifo(repository.path / "pipe")
    (repository.path / "a.py").unlink()
    os.mkfifo(repository.path / "a.py")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(repository.path / "s"))
        Repository(repository.path / "nested").start().write(inner_dot_py="x").commit()
        snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert set(await listed(mirrors, repository.location, snapshot.tree)) == {b"src/b.py"}
    assert "nested" in snapshot.warnings[0]


async def test_a_file_that_is_too_large_to_copy_is_marked_and_the_mark_follows_the_file(
    tmp_path: Path, repository: Repository
) -> None:
    mirrors = GitMirrors(tmp_path / "mirrors", limits=Limits(omit_bytes=100))
    repository.put("large.txt", b"x" * 101)

    first = await mirrors.snapshot(repository.location, None, scan_id="s1")
    again = await mirrors.snapshot(repository.location, None, scan_id="s2")
    repository.put("large.txt", b"x" * 102)
    later = await mirrors.snapshot(repository.location, None, scan_id="s3")

    content = (await listed(mirrors, repository.location, first.tree))[b"large.txt"]
    assert content is not None
    assert b"too_large\nsize: 101\n" in content
    assert first.tree == again.tree != later.tree


async def test_uncommitted_files_together_have_a_limit(tmp_path: Path, repository: Repository) -> None:
    mirrors = GitMirrors(tmp_path / "mirrors", limits=Limits(uncommitted_bytes=1000))
    repository.put("large.txt", b"x" * 2000)

    with pytest.raises(RepositoryProblem, match="uncommitted and untracked files hold more than"):
        await mirrors.snapshot(repository.location, None, scan_id="s1")


async def test_a_branch_is_scanned_as_committed(mirrors: GitMirrors, repository: Repository) -> None:
    repository.write(a_dot_py="changed\n")

    snapshot = await mirrors.snapshot(repository.location, "main", scan_id="s1")

    assert snapshot.tree == repository.git("rev-parse", "HEAD^{tree}")


async def test_a_linked_work_tree_and_a_detached_head_work(mirrors: GitMirrors, repository: Repository) -> None:
    linked = Repository(repository.path.parent / "linked")
    repository.git("worktree", "add", "-q", "--detach", linked.location)
    linked.write(c_dot_py="3\n")

    snapshot = await mirrors.snapshot(linked.location, None, scan_id="s1")

    assert (snapshot.branch, snapshot.commit) == (None, repository.git("rev-parse", "HEAD"))
    assert set(await listed(mirrors, linked.location, snapshot.tree)) == {b"a.py", b"src/b.py", b"c.py"}


async def test_a_submodule_checkout_can_be_scanned_and_is_one_entry_of_its_parent(
    mirrors: GitMirrors, repository: Repository, make_repository: object
) -> None:
    parent = make_repository("parent").start()  # type: ignore[operator]
    parent.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", repository.location, "sub")
    parent.commit()
    (parent.path / "sub" / "dirty.py").write_text("x")

    outer = await mirrors.snapshot(parent.location, None, scan_id="s1")
    inner = await mirrors.snapshot(str(parent.path / "sub"), None, scan_id="s2")

    assert [(e.path, e.mode) for e in await mirrors.list_tree(parent.location, outer.tree)][1] == (b"sub", 0o160000)
    assert not outer.uncommitted
    assert inner.uncommitted
