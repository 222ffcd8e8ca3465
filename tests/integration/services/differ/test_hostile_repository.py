"""Scanning a repository runs nothing of it. Each trap is first shown to work on the user's own git."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from services.differ.clients.limits import Limits
from services.differ.clients.mirror import GitMirrors
from services.differ.clients.remote import open_remote
from services.differ.domain.scan_settings import ScanSettings
from services.differ.handlers.reading import make_listing
from services.differ.ports import RepositoryProblem
from tests.integration.services.differ.conftest import Repository, listed


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def trap(tmp_path: Path, canary: Path) -> str:
    """A program that leaves the canary when it is run."""
    file = tmp_path / "trap.sh"
    file.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\ncat\n')
    file.chmod(0o755)
    return str(file)


def untouched(file: Path) -> bool:
    return not file.exists()


async def use_everything(mirrors: GitMirrors, location: str, branch: str | None = None) -> dict[bytes, bytes | None]:
    """Every operation of the mirrors on a changed repository."""
    snapshot = await mirrors.snapshot(location, branch, scan_id="s1")
    entries = await mirrors.list_tree(location, snapshot.tree)
    await mirrors.attributes(location, snapshot.tree, [entry.path for entry in entries])
    if snapshot.commit is not None:
        await mirrors.churn(location, snapshot.commit)
        revision = await mirrors.resolve(location, "HEAD", head=snapshot.commit)
        await mirrors.compare(location, revision.tree, snapshot.tree)
    return await listed(mirrors, location, snapshot.tree)


CONFIGURED = {
    "core.fsmonitor": "TRAP",
    "core.pager": "TRAP",
    "core.editor": "TRAP",
    "core.sshCommand": "TRAP",
    "core.gitProxy": "TRAP",
    "core.askPass": "TRAP",
    "core.alternateRefsCommand": "TRAP",
    "core.hooksPath": "HOOKS",
    "credential.helper": "TRAP",
    "diff.external": "TRAP",
    "diff.hostile.textconv": "TRAP",
    "diff.hostile.command": "TRAP",
    "filter.hostile.clean": "TRAP",
    "filter.hostile.smudge": "TRAP",
    "filter.hostile.process": "TRAP",
    "filter.hostile.required": "true",
    "uploadpack.packObjectsHook": "TRAP",
    "merge.hostile.driver": "TRAP",
    "gpg.program": "TRAP",
    "include.path": "INCLUDED",
    "alias.upload-pack": "!TRAP",
    "alias.ls-tree": "!TRAP",
    "extensions.partialClone": "origin",
    "remote.origin.url": "ext::TRAP",
    "remote.origin.promisor": "true",
    "remote.origin.uploadpack": "TRAP",
    "protocol.ext.allow": "always",
}


async def test_nothing_that_a_repository_configures_is_run(
    mirrors: GitMirrors, repository: Repository, trap: str, canary: Path, tmp_path: Path
) -> None:
    repository.write(_dot_gitattributes="* filter=hostile diff=hostile merge=hostile\n").commit()
    repository.write(a_dot_py="changed\n", new_dot_py="new\n")
    hooks = tmp_path / "hooks"
    for folder in (hooks, repository.path / ".git/hooks"):
        folder.mkdir(exist_ok=True)
        for name in (
            "post-checkout",
            "pre-auto-gc",
            "reference-transaction",
            "post-index-change",
            "fsmonitor-watchman",
        ):
            (folder / name).symlink_to(trap)
    repository.put(".git/included", f"[core]\n\tfsmonitor = {trap}\n".encode())
    for key, value in CONFIGURED.items():
        named = value.replace("TRAP", trap).replace("HOOKS", str(hooks)).replace("INCLUDED", "included")
        repository.git("config", key, named)

    files = await use_everything(mirrors, repository.location)
    await use_everything(mirrors, repository.location, "main")

    assert untouched(canary)
    assert files[b"a.py"] == b"changed\n"


def test_the_traps_would_close_on_plain_git(repository: Repository, trap: str, canary: Path) -> None:
    repository.write(_dot_gitattributes="* filter=hostile\n").commit()
    repository.git("config", "filter.hostile.clean", trap)
    repository.git("config", "core.fsmonitor", trap)
    repository.write(a_dot_py="changed\n")

    repository.git("status")

    assert canary.exists()


async def test_a_submodule_with_a_configuration_of_its_own_is_not_entered(
    mirrors: GitMirrors, repository: Repository, make_repository: Callable[[str], Repository], trap: str, canary: Path
) -> None:
    parent = make_repository("parent").start()
    parent.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", repository.location, "sub")
    parent.commit()
    sub = Repository(parent.path / "sub")
    sub.git("config", "core.fsmonitor", trap)
    sub.git("config", "core.worktree", "/")
    parent.git("config", "-f", ".gitmodules", "submodule.sub.update", f"!{trap}")
    parent.git("config", "submodule.sub.update", f"!{trap}")

    await use_everything(mirrors, parent.location)

    assert untouched(canary)


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("ext::sh -c 'touch {canary}'", "transport ext:: is not allowed"),
        ("fd::17", "transport fd:: is not allowed"),
        ("file://{repository}", "fetched by file"),
        ("http://example.org/x.git", "fetched by http"),
        ("git://example.org/x.git", "fetched by git"),
        ("--upload-pack=touch {canary}", "does not exist"),
        ("-x", "does not exist"),
        ("ssh://-oProxyCommand=touch%20{canary}/x", "names no host"),
        ("-oProxyCommand=x:y", "dash"),
        ("", "empty"),
        ("a\nb", "control characters"),
    ],
)
async def test_a_location_that_could_run_something_is_refused(
    mirrors: GitMirrors, repository: Repository, canary: Path, location: str, sentence: str
) -> None:
    with pytest.raises(RepositoryProblem, match=sentence):
        await mirrors.snapshot(location.format(canary=canary, repository=repository.path), None, scan_id="s1")

    assert untouched(canary)


async def test_a_file_address_works_where_it_is_allowed(tmp_path: Path, repository: Repository) -> None:
    mirrors = GitMirrors(tmp_path / "mirrors", protocols=("file",))

    snapshot = await mirrors.snapshot(f"file://{repository.path}", None, scan_id="s1")

    assert snapshot.commit == repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["--upload-pack=touch canary", "-x", "a:b", "a..b", "*", "", "x.lock", "a b", "@{-1}"])
async def test_names_that_are_options_or_refspecs_are_no_branches(
    mirrors: GitMirrors, repository: Repository, name: str
) -> None:
    with pytest.raises(RepositoryProblem, match="is no name of a branch"):
        await mirrors.snapshot(repository.location, name, scan_id="s1")
    with pytest.raises(RepositoryProblem):
        await mirrors.resolve(repository.location, name)


async def test_a_git_directory_that_is_a_link_or_points_elsewhere_is_not_followed(
    mirrors: GitMirrors, repository: Repository, make_repository: Callable[[str], Repository]
) -> None:
    linked, pointing, borrowing = (make_repository(name) for name in ("linked", "pointing", "borrowing"))
    (linked.path / ".git").symlink_to(repository.path / ".git")
    pointing.put(".git", f"gitdir: {repository.path}/.git\n".encode())
    borrowing.start().put(".git/commondir", f"{repository.path}/.git\n".encode())

    for hostile in (linked, pointing, borrowing):
        with pytest.raises(RepositoryProblem):
            await mirrors.snapshot(hostile.location, None, scan_id="s1")


async def test_an_index_that_names_files_outside_reads_none_of_them(
    mirrors: GitMirrors, repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "o").write_text("secret")
    index = (repository.path / ".git/index").read_bytes()
    repository.put(".git/index", index.replace(b"a.py", b"../o"))

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert await listed(mirrors, repository.location, snapshot.tree) == {
        b"a.py": b"print(1)\n",
        b"src/b.py": b"print(2)\n",
    }


async def test_trees_that_no_checkout_could_hold_are_listed_once_each(
    mirrors: GitMirrors, repository: Repository, tmp_path: Path
) -> None:
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"code\n")
    inner = repository.git("mktree", stdin=f"100644 blob {blob}\tpasswd\n".encode())
    names = (b"..", b".git", b".", b"A", b"a")
    lines = b"".join(b"040000 tree %s\t%s\0" % (inner.encode(), name) for name in names)
    lines += b"100644 blob %s\t.gitattributes\x00100644 blob %s\tA.py\x00100644 blob %s\ta.py\0" % (
        (blob.encode(),) * 3
    )
    raw = b"".join(
        b"%s %s\0%s" % (b"40000" if b" tree " in line else b"100644", name, bytes.fromhex(line.split()[2].decode()))
        for line, _, name in (line.partition(b"\t") for line in lines.split(b"\0")[:-1])
    )
    tree = repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
    repository.git("update-ref", "refs/heads/hostile", repository.git("commit-tree", "-m", "x", tree))

    snapshot = await mirrors.snapshot(repository.location, "hostile", scan_id="s1")
    entries = await mirrors.list_tree(repository.location, snapshot.tree)

    async def keep(_: object) -> None:
        assert untouched(tmp_path / "passwd")

    listing = await make_listing(
        mirrors,
        repository.location,
        tree=snapshot.tree,
        commit=snapshot.commit,
        settings=ScanSettings(),
        keep_contents=keep,
        entries=entries,
    )
    assert sorted(entry.path for entry in entries) == sorted(
        [*(name + b"/passwd" for name in names), b".gitattributes", b"A.py", b"a.py"]
    )
    assert listing.total == 8


async def test_a_tree_that_holds_a_name_twice_lists_it_once(mirrors: GitMirrors, repository: Repository) -> None:
    blob = bytes.fromhex(repository.git("hash-object", "-w", "--stdin", stdin=b"code\n"))
    tree = repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=(b"100644 a\0" + blob) * 2)
    repository.git("update-ref", "refs/heads/twice", repository.git("commit-tree", "-m", "x", tree))

    snapshot = await mirrors.snapshot(repository.location, "twice", scan_id="s1")

    assert [entry.path for entry in await mirrors.list_tree(repository.location, snapshot.tree)] == [b"a"]


async def test_a_tree_that_multiplies_itself_ends_in_a_sentence(tmp_path: Path, repository: Repository) -> None:
    mirrors = GitMirrors(tmp_path / "mirrors", limits=Limits(output_bytes=1 << 20))
    oid, kind, mode = repository.git("hash-object", "-w", "--stdin", stdin=b"x"), "blob", "100644"
    for _ in range(9):
        lines = "".join(f"{mode} {kind} {oid}\td{number}\n" for number in range(10))
        oid, kind, mode = repository.git("mktree", stdin=lines.encode()), "tree", "040000"
    repository.git("update-ref", "refs/heads/bomb", repository.git("commit-tree", "-m", "x", oid))

    snapshot = await mirrors.snapshot(repository.location, "bomb", scan_id="s1")
    with pytest.raises(RepositoryProblem, match="too large to be scanned"):
        await mirrors.list_tree(repository.location, snapshot.tree)


async def test_credentials_show_nowhere(mirrors: GitMirrors) -> None:
    with pytest.raises(RepositoryProblem) as caught:
        await mirrors.snapshot("https://user:hunter2@localhost:1/x.git", None, scan_id="s1")

    assert "hunter2" not in str(caught.value)
    assert "https://localhost:1/x.git" in str(caught.value)
    assert not any("hunter2" in name for name in os.listdir(mirrors._folder))


async def test_credentials_go_to_the_host_and_not_into_an_argument(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    mirrors = GitMirrors(tmp_path / "mirrors", protocols=("http",))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RepositoryProblem, match=f"there is no git repository at http://127.0.0.1:{port}/x.git"):
            await mirrors.snapshot(f"http://user:hunter2@127.0.0.1:{port}/x.git", None, scan_id="s1")

    assert b"Authorization: Basic " + b64encode(b"user:hunter2") in heard[0]
    assert "hunter2" not in open_remote("http://user:hunter2@h/x", ("http",)).fetch_from
