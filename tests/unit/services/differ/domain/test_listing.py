"""A listing accounts for every candidate exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.events.differ import FileQueued, FileRemoved, FileSkipped, SkipReason
from services.differ.domain.listing import ListingBuilder, candidates, hash_of, shown_path
from services.differ.domain.scan_settings import ScanSettings
from services.differ.domain.tree import Change, Entry


def an_entry(path: bytes, oid: str = "a" * 40, size: int = 5) -> Entry:
    return Entry(path=path, mode=0o100644, oid=oid, size=size)


def a_builder(entries: list[Entry] | None, changes: list[Change] | None = None) -> ListingBuilder:
    return ListingBuilder(candidates(entries, changes), ScanSettings())


def test_copies_of_a_content_are_read_once_and_all_queued() -> None:
    builder = a_builder([an_entry(b"a.py"), an_entry(b"b.py"), an_entry(b"b.png", size=2000)])

    assert builder.wanted() == ["a" * 40]
    assert builder.take([("a" * 40, b"x = 1")]) == {hash_of(b"x = 1"): b"x = 1"}
    listing = builder.finish()
    assert [path for path, _ in listing.queued] == [b"a.py", b"b.py"]
    assert listing.skip_counts() == {SkipReason.BINARY: 1}
    assert listing.total == 3


def test_a_content_that_never_comes_is_unreadable() -> None:
    listing = a_builder([an_entry(b"a.py")]).finish()

    assert listing.skip_counts() == {SkipReason.UNREADABLE: 1}


def test_a_full_listing_with_a_base_says_what_is_gone_and_what_was_renamed() -> None:
    changes = [
        Change(kind="deleted", entry=an_entry(b"gone.py")),
        Change(kind="renamed", entry=an_entry(b"new.py"), previous_path=b"old.py"),
        Change(kind="renamed", entry=an_entry(b"vendor/x.py"), previous_path=b"x.py"),
    ]
    builder = a_builder([an_entry(b"new.py"), an_entry(b"same.py"), an_entry(b"vendor/x.py")], changes)
    builder.take([("a" * 40, b"x = 1")])
    facts = list(builder.finish().facts(repository_id="r", scan_id="s", engine="static"))

    removed = {fact.path: fact.renamed_to for fact in facts if isinstance(fact, FileRemoved)}
    queued = {
        fact.path: (fact.change, fact.previous_path, fact.position) for fact in facts if isinstance(fact, FileQueued)
    }
    assert removed == {"gone.py": None, "old.py": "new.py", "x.py": None}
    assert queued == {"new.py": ("renamed", "old.py", 0), "same.py": ("listed", None, 1)}
    assert [fact.reason for fact in facts if isinstance(fact, FileSkipped)] == [SkipReason.VENDORED]


def test_a_path_that_became_a_rename_target_and_source_is_one_file() -> None:
    changes = [
        Change(kind="renamed", entry=an_entry(b"b.py"), previous_path=b"a.py"),
        Change(kind="modified", entry=an_entry(b"a.py")),
    ]

    listed = candidates(None, changes)

    assert {entry.path for entry in listed.entries} == {b"a.py", b"b.py"}
    assert listed.removed == {}


def test_a_path_that_would_burst_a_fact_is_cut() -> None:
    assert len(shown_path(b"\xff" * 100_000)) == 32 * 1024


CONTENTS = {"a" * 40: b"x = 1", "b" * 40: b"\0", "c" * 40: None, "d" * 40: b" "}


@given(
    st.lists(
        st.builds(an_entry, st.binary(min_size=1, max_size=6), st.sampled_from(sorted(CONTENTS)), st.integers(0, 9)),
        unique_by=lambda entry: entry.path,
    ),
    st.integers(1, 4),
)
def test_every_candidate_has_one_fact_however_contents_come(entries: list[Entry], chunk: int) -> None:
    builder = a_builder(entries)
    wanted = builder.wanted()
    for start in range(0, len(wanted), chunk):
        builder.take([(oid, CONTENTS[oid]) for oid in wanted[start : start + chunk]])
    listing = builder.finish()
    facts = list(listing.facts(repository_id="r", scan_id="s", engine="static"))

    assert len({fact.subject for fact in facts}) == len(facts) == listing.total == len(entries)
    assert len({fact.key for fact in facts}) == len(entries)
    assert sum(listing.skip_counts().values()) + len(listing.queued) == listing.total
