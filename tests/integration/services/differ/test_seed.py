"""A new mirror's first objects: copied where they can be, fetched where they cannot."""

from __future__ import annotations

from pathlib import Path

from services.differ.clients.mirror import GitMirrors
from services.differ.clients.seed import copy_objects
from tests.integration.services.differ.conftest import Repository, listed


async def test_a_packed_and_a_loose_history_are_both_copied(mirrors: GitMirrors, repository: Repository) -> None:
    repository.git("repack", "-adq")
    repository.write(later_dot_py="later\n").commit()

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert b"later.py" in await listed(mirrors, repository.location, snapshot.tree)


async def test_what_the_copy_lacks_is_fetched(mirrors: GitMirrors, repository: Repository) -> None:
    borrowed = Path(repository.location) / ".git" / "objects"
    aside = borrowed.with_name("elsewhere")
    borrowed.rename(aside)
    (borrowed / "info").mkdir(parents=True)
    (borrowed / "info" / "alternates").write_text(f"{aside}\n")

    snapshot = await mirrors.snapshot(repository.location, None, scan_id="s1")

    assert await listed(mirrors, repository.location, snapshot.tree)


def test_links_and_foreign_files_are_not_copied(tmp_path: Path) -> None:
    source, target, secret = tmp_path / "objects", tmp_path / "copy", tmp_path / "secret"
    secret.write_text("secret")
    (source / "ab").mkdir(parents=True)
    (source / "pack").symlink_to(tmp_path)
    (source / "ab" / ("c" * 38)).symlink_to(secret)
    (source / "ab" / "notes.txt").write_text("notes")
    (source / "ab" / ("d" * 38)).write_text("object")
    (tmp_path / f"pack-{'e' * 40}.pack").write_text("elsewhere")
    target.mkdir()

    copy_objects(source, target)

    assert [path.name for path in target.rglob("*") if path.is_file()] == ["d" * 38]
