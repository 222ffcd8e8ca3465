"""What a mirror tells of history: comparisons, revisions, churn, attributes, and what it keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.differ import FileQueued, FileSkipped
from services.differ.clients.limits import Limits
from services.differ.clients.mirror import GitMirrors
from services.differ.clients.worktree import quote_path
from services.differ.domain.scan_settings import ScanSettings
from services.differ.domain.tree import Attributes
from services.differ.handlers.reading import make_listing, read_settings
from tests.integration.services.differ.conftest import Repository, listed


async def test_a_second_snapshot_brings_what_is_new(mirrors: GitMirrors, repository: Repository) -> None:
    await mirrors.snapshot(repository.location, None, scan_id="s1")
    repository.write(new_dot_py="new\n").commit()

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s2")

    assert b"new.py" in await listed(mirrors, repository.location, snapshot.tree)
    assert not snapshot.uncommitted


async def test_rewritten_history_is_followed_and_known_as_such(mirrors: GitMirrors, repository: Repository) -> None:
    first = await mirrors.snapshot(repository.location, None, scan_id="s1")
    repository.git("commit", "-q", "--amend", "--allow-empty", "-m", "other")
    second = await mirrors.snapshot(repository.location, None, scan_id="s2")
    repository.write(c_dot_py="c").commit()
    third = await mirrors.snapshot(repository.location, None, scan_id="s3")

    assert first.commit is not None
    assert second.commit is not None
    assert third.commit is not None
    assert not await mirrors.is_ancestor(repository.location, first.commit, second.commit)
    assert await mirrors.is_ancestor(repository.location, second.commit, third.commit)
    assert not await mirrors.is_ancestor(repository.location, "0" * 40, third.commit)
    assert await mirrors.holds(repository.location, first.tree)


async def test_what_is_kept_stays_and_what_is_released_goes_when_packed(tmp_path: Path, repository: Repository) -> None:
    mirrors = GitMirrors(tmp_path / "mirrors", limits=Limits(packs=0))
    repository.write(draft_dot_py="first draft\n")
    first = await mirrors.snapshot(repository.location, None, scan_id="s1")
    repository.write(draft_dot_py="second draft\n")
    second = await mirrors.snapshot(repository.location, None, scan_id="s2")
    folder = next((tmp_path / "mirrors").glob("repository-*.git"))
    mirror = Repository(folder)

    assert "refs/strandline/scans/s1/tree" in mirror.git("for-each-ref")
    assert await mirrors.holds(repository.location, first.tree)
    await mirrors.release(repository.location, "s1")
    await mirrors.release(repository.location, "s1")
    mirror.git("prune", "--expire=now")
    assert not await mirrors.holds(repository.location, first.tree)
    assert await mirrors.holds(repository.location, second.tree)


async def test_a_comparison_finds_additions_changes_deletions_and_renames(
    mirrors: GitMirrors, repository: Repository
) -> None:
    repository.write(long_dot_py="".join(f"line {n}\n" for n in range(50)), gone_dot_py="gone\n").commit()
    base = await mirrors.snapshot(repository.location, None, scan_id="s1")
    repository.write(a_dot_py="changed\n", added_dot_py="quite another thing\n")
    (repository.path / "gone.py").unlink()
    (repository.path / "long.py").rename(repository.path / "moved.py")
    now = await mirrors.snapshot(repository.location, None, scan_id="s2")

    changes = await mirrors.compare(repository.location, base.tree, now.tree)

    assert {(c.kind, c.entry.path, c.previous_path, c.entry.size) for c in changes} == {
        ("modified", b"a.py", None, 8),
        ("added", b"added.py", None, 20),
        ("deleted", b"gone.py", None, 5),
        ("renamed", b"moved.py", b"long.py", 390),
    }


async def test_revisions_are_what_a_person_writes(mirrors: GitMirrors, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-a", "-m", "x", "v1.0")
    repository.git("branch", "feature/x")
    second = repository.write(b_dot_py="b").commit()

    async def commit(revision: str, head: str | None = None) -> str:
        return (await mirrors.resolve(repository.location, revision, head=head)).commit

    assert await commit("v1.0") == await commit("feature/x") == await commit("main~1") == first
    assert await commit(first[:10]) == await commit(first) == await commit("HEAD^", second) == first
    assert await commit("HEAD") == await commit("@") == await commit("main") == second


async def test_churn_counts_commits_by_path(mirrors: GitMirrors, repository: Repository) -> None:
    for number in range(3):
        repository.put("odd\nname.py", str(number).encode())
        repository.commit()
    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
    assert snapshot.commit is not None

    assert await mirrors.churn(repository.location, snapshot.commit) == {b"odd\nname.py": 3}
    assert await mirrors.churn(repository.location, "0" * 40) == {}


async def test_attributes_of_every_level_are_known(mirrors: GitMirrors, repository: Repository) -> None:
    repository.write(
        _dot_gitattributes="*.gen linguist-generated\nlib/** linguist-vendored=true\n",
        src___dot_gitattributes="*.gen -linguist-generated\n",
    )
    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
    paths = [b"x.gen", b"src/x.gen", b"lib/a.c", b"plain.c", b'odd "name"\n.gen', b"../x.gen", b".git/x.gen"]

    assert await mirrors.attributes(repository.location, snapshot.tree, paths) == {
        b"x.gen": Attributes(generated=True),
        b"src/x.gen": Attributes(generated=False),
        b"lib/a.c": Attributes(vendored=True),
        b'odd "name"\n.gen': Attributes(generated=True),
    }


async def test_contents_over_the_limit_are_passed_over(mirrors: GitMirrors, repository: Repository) -> None:
    repository.put("large", b"x\n" * 2_000_000)
    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
    oids = [entry.oid for entry in await mirrors.list_tree(repository.location, snapshot.tree)]

    found = [pair async for batch in mirrors.read(repository.location, [*oids, "0" * 40], most=100) for pair in batch]

    assert [content for _, content in found] == [b"print(1)\n", None, b"print(2)\n", None]


async def test_locks_that_a_killed_process_left_are_no_obstacle(tmp_path: Path, repository: Repository) -> None:
    first = GitMirrors(tmp_path / "mirrors")
    await first.snapshot(repository.location, None, scan_id="s1")
    folder = next((tmp_path / "mirrors").glob("repository-*.git"))
    for lock in ("refs/strandline/scans/s1/tree.lock", "packed-refs.lock", "shallow.lock"):
        (folder / lock).write_bytes(b"")
    repository.write(b_dot_py="b").commit()

    await GitMirrors(tmp_path / "mirrors").snapshot(repository.location, None, scan_id="s1")


async def test_an_incremental_listing_is_what_changed(mirrors: GitMirrors, repository: Repository) -> None:
    repository.write(_dot_strandline_dot_toml='exclude = ["docs/"]\n', old_dot_py="a = 1\nb = 2\nc = 3\n").commit()
    base = await mirrors.snapshot(repository.location, None, scan_id="s1")
    (repository.path / "old.py").rename(repository.path / "new.py")
    (repository.path / "a.py").unlink()
    repository.write(docs__x_dot_md="text\n")
    now = await mirrors.snapshot(repository.location, None, scan_id="s2")
    kept: dict[str, bytes] = {}

    async def keep(contents: object) -> None:
        kept.update(contents)  # type: ignore[call-overload]

    rules = await read_settings(mirrors, repository.location, await mirrors.list_tree(repository.location, now.tree))
    listing = await make_listing(
        mirrors,
        repository.location,
        tree=now.tree,
        commit=now.commit,
        settings=rules,
        keep_contents=keep,
        base_tree=base.tree,
    )
    facts = list(listing.facts(repository_id="r", scan_id="s2", engine="static"))

    assert [(type(fact).__name__, fact.path) for fact in facts] == [
        ("FileRemoved", "a.py"),
        ("FileRemoved", "old.py"),
        ("FileSkipped", "docs/x.md"),
        ("FileQueued", "new.py"),
    ]
    queued = facts[-1]
    assert isinstance(queued, FileQueued)
    assert (queued.change, queued.previous_path) == ("renamed", "old.py")
    assert kept == {queued.content_hash: b"a = 1\nb = 2\nc = 3\n"}


NAMES = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.text("ab*>?\"'\\ \n\t.é-:[]", min_size=1, max_size=12).map(str.encode),
    st.integers(200, 4000).map(lambda length: b"x" * length),
).filter(lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..") and name.lower() != b".git")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)


def consistent(paths: list[bytes]) -> bool:
    """Whether no path is a folder of another."""
    return not any(other.startswith(path + b"/") for path in paths for other in paths)


@settings(max_examples=15, deadline=None)
@given(paths=st.lists(PATHS, min_size=1, max_size=30, unique=True).filter(consistent))
async def test_any_paths_are_listed_once_each_with_one_decision_and_a_key_of_their_own(paths: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "repository").start("--bare")
        commands = b"".join(b"M 644 inline %s\ndata 2\nx\n\n" % quote_path(path) for path in paths)
        head = b"commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 0\n"
        repository.git("fast-import", "--quiet", stdin=head + commands)
        mirrors = GitMirrors(Path(folder) / "mirrors")
        snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")
        entries = await mirrors.list_tree(repository.location, snapshot.tree)

        async def keep(_: object) -> None:
            return

        listing = await make_listing(
            mirrors,
            repository.location,
            tree=snapshot.tree,
            commit=snapshot.commit,
            settings=ScanSettings(),
            keep_contents=keep,
            entries=entries,
        )

    facts = list(listing.facts(repository_id="r", scan_id="s", engine="static"))
    assert sorted(entry.path for entry in entries) == sorted(paths)
    assert len({fact.subject.rsplit(".", 1)[-1] for fact in facts}) == len(paths) == listing.total == len(facts)
    assert all(isinstance(fact, FileQueued | FileSkipped) for fact in facts)
