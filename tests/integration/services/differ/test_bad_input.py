"""What cannot be scanned is said in one sentence, with what mends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.differ.clients.git import Call, Git, TooSlow
from services.differ.clients.mirror import GitMirrors
from services.differ.ports import RepositoryProblem
from tests.integration.services.differ.conftest import Repository, listed


async def test_a_path_that_is_not_there(mirrors: GitMirrors, tmp_path: Path) -> None:
    with pytest.raises(RepositoryProblem, match=r"nowhere does not exist$"):
        await mirrors.snapshot(str(tmp_path / "nowhere"), None, scan_id="s1")


async def test_a_file(mirrors: GitMirrors, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(RepositoryProblem, match="is a file, not a git repository"):
        await mirrors.snapshot(str(tmp_path / "file"), None, scan_id="s1")


async def test_a_folder_that_is_no_repository(mirrors: GitMirrors, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()

    with pytest.raises(RepositoryProblem, match="plain is not a git repository: run git init"):
        await mirrors.snapshot(str(tmp_path / "plain"), None, scan_id="s1")


async def test_a_folder_inside_a_repository_names_the_repository(mirrors: GitMirrors, repository: Repository) -> None:
    with pytest.raises(RepositoryProblem, match=f"scan {repository.path}$"):
        await mirrors.snapshot(str(repository.path / "src"), None, scan_id="s1")


async def test_a_branch_that_is_not_there(mirrors: GitMirrors, repository: Repository) -> None:
    with pytest.raises(RepositoryProblem, match="has no branch 'other': check the name"):
        await mirrors.snapshot(repository.location, "other", scan_id="s1")


async def test_an_empty_repository(mirrors: GitMirrors, make_repository: Callable[[str], Repository]) -> None:
    for options in ((), ("--bare",)):
        empty = make_repository(f"empty{len(options)}").start(*options)
        with pytest.raises(RepositoryProblem, match="has no commits"):
            await mirrors.snapshot(empty.location, None, scan_id="s1")


async def test_a_missing_object(mirrors: GitMirrors, repository: Repository) -> None:
    oid = repository.git("rev-parse", "HEAD:a.py")
    (repository.path / ".git/objects" / oid[:2] / oid[2:]).unlink()

    with pytest.raises(RepositoryProblem, match=r"missing or cannot be read: run git fsck there$"):
        await mirrors.snapshot(repository.location, None, scan_id="s1")


async def test_an_object_that_went_from_the_mirror_is_an_unreadable_file(
    mirrors: GitMirrors, repository: Repository
) -> None:
    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
    oid = repository.git("rev-parse", "HEAD:a.py")
    next(mirrors._folder.glob(f"repository-*.git/objects/{oid[:2]}/{oid[2:]}")).unlink()

    entries = {entry.path: entry.size for entry in await mirrors.list_tree(repository.location, snapshot.tree)}

    assert entries == {b"a.py": None, b"src/b.py": 9}
    assert (await listed(mirrors, repository.location, snapshot.tree))[b"a.py"] is None


async def test_a_host_that_does_not_answer_may_answer_later(mirrors: GitMirrors) -> None:
    with pytest.raises(RepositoryProblem, match="cannot be reached") as caught:
        await mirrors.snapshot("https://localhost:1/x.git", None, scan_id="s1")

    assert caught.value.passing


async def test_a_revision_that_is_not_there(mirrors: GitMirrors, repository: Repository) -> None:
    for revision in ("nothing", "HEAD~99", "0" * 40, "deadbeef"):
        with pytest.raises(RepositoryProblem, match="has no revision"):
            await mirrors.resolve(repository.location, revision)


async def test_bare_shallow_and_sha256_repositories_work(
    mirrors: GitMirrors, repository: Repository, make_repository: Callable[[str], Repository]
) -> None:
    repository.write(a_dot_py="2\n").commit()
    parent = repository.path.parent
    repository.git("clone", "-q", "--bare", ".", str(parent / "bare.git"))
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(parent / "shallow"))
    modern = make_repository("modern").start("--object-format=sha256").write(a_dot_py="1\n")
    modern.commit()
    modern.write(b_dot_py="2\n")

    bare = await mirrors.snapshot(str(parent / "bare.git"), None, scan_id="s1")
    shallow = await mirrors.snapshot(str(parent / "shallow"), None, scan_id="s1")
    sha256 = await mirrors.snapshot(modern.location, None, scan_id="s1")

    assert bare.tree == shallow.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert shallow.shallow
    assert "shallow" in shallow.warnings[0]
    assert await listed(mirrors, modern.location, sha256.tree) == {b"a.py": b"1\n", b"b.py": b"2\n"}


async def test_a_repository_that_borrows_objects_works(mirrors: GitMirrors, repository: Repository) -> None:
    borrower = repository.path.parent / "borrower"
    repository.git("clone", "-q", "--shared", ".", str(borrower))

    snapshot = await mirrors.snapshot(str(borrower), None, scan_id="s1")

    assert set(await listed(mirrors, str(borrower), snapshot.tree)) == {b"a.py", b"src/b.py"}


async def test_a_call_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    git = Git(tmp_path)
    git.prepare()
    call = Call(arguments=("-c", "alias.wait=!sleep 1000", "wait"), git_dir=tmp_path, seconds=0.3)

    with pytest.raises(TooSlow, match="took longer than"):
        await git.run(call)


async def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    git = Git(tmp_path)
    git.prepare()
    told = tmp_path / "pid"
    call = Call(
        arguments=("-c", f"alias.wait=!echo $$ > {told}.new; mv {told}.new {told}; sleep 1000", "wait"),
        git_dir=tmp_path,
    )
    running = asyncio.create_task(git.run(call))
    await asyncio.to_thread(_wait_for, told)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await asyncio.to_thread(_wait_for_end, told)


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


def _wait_for_end(told: Path) -> None:
    """Killed is not yet gone; one that was not killed would sleep until the test's own time limit."""
    while not _has_ended(told):
        time.sleep(0.01)


def _has_ended(told: Path) -> bool:
    """Whether the process of that id is gone, or dead and not collected yet."""
    try:
        return Path(f"/proc/{told.read_text().strip()}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True
