"""The life of findings follows from outcomes alone."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from libs.events.differ import FileFact
from libs.events.subjects import file_key
from services.reviewer.domain.lifecycle import Change, Life, Place, outcomes_of, replay
from tests.unit.services.reviewer.scene import REPOSITORY, analysed, fingerprint, removed, skipped

X, Y = fingerprint("x"), fingerprint("y")


def place(path: str) -> Place:
    return (REPOSITORY, file_key(path.encode()))


def after(*facts: FileFact) -> tuple[dict[Place, dict[str, Life]], dict[tuple[Place, str], Change]]:
    return replay({each for fact in facts for each in outcomes_of(fact)}, {})


def test_a_finding_is_new_where_it_is_first_seen() -> None:
    lives, changes = after(analysed("s1", "a.py", "x"))

    assert lives[place("a.py")] == {X: Life("s1", "s1", None, "new")}
    assert changes == {(place("a.py"), "s1"): Change(opened=(X,))}


def test_what_stays_tells_nothing() -> None:
    lives, changes = after(analysed("s1", "a.py", "x"), analysed("s2", "a.py", "x"))

    assert lives[place("a.py")][X] == Life("s1", "s2", None, "persisting")
    assert (place("a.py"), "s2") not in changes


def test_a_finding_that_comes_back_is_reopened_and_keeps_its_first_scan() -> None:
    lives, changes = after(analysed("s1", "a.py", "x"), analysed("s2", "a.py"), analysed("s3", "a.py", "x", "y"))

    assert lives[place("a.py")][X] == Life("s1", "s3", None, "reopened")
    assert changes[place("a.py"), "s2"] == Change(resolved=(X,))
    assert changes[place("a.py"), "s3"] == Change(opened=(Y,), reopened=(X,))


def test_a_removed_or_skipped_file_has_no_standing_findings() -> None:
    for gone in (removed("s2", "a.py"), skipped("s2", "a.py")):
        lives, changes = after(analysed("s1", "a.py", "x"), gone)

        assert lives[place("a.py")][X] == Life("s1", "s1", "s2", "resolved")
        assert changes[place("a.py"), "s2"] == Change(resolved=(X,))


def test_a_rename_moves_findings_without_a_word() -> None:
    lives, changes = after(
        analysed("s1", "a.py", "x"), removed("s2", "a.py", to="b.py"), analysed("s2", "b.py", "x", was="a.py")
    )

    assert lives[place("b.py")][X] == Life("s1", "s2", None, "persisting")
    assert set(changes) == {(place("a.py"), "s1")}


def test_what_a_rename_left_behind_is_resolved_under_the_new_path() -> None:
    _, changes = after(analysed("s1", "a.py", "x"), analysed("s2", "b.py", "y", was="a.py"))

    assert changes[place("b.py"), "s2"] == Change(opened=(Y,), resolved=(X,))


def test_two_files_that_swap_their_names_swap_their_findings() -> None:
    lives, _ = after(
        analysed("s1", "a.py", "x"),
        analysed("s1", "b.py", "y"),
        analysed("s2", "a.py", "y", was="b.py"),
        analysed("s2", "b.py", "x", was="a.py"),
    )

    assert lives[place("a.py")][Y] == Life("s1", "s2", None, "persisting")
    assert lives[place("b.py")][X] == Life("s1", "s2", None, "persisting")


PATHS, SCANS = ("a.py", "b.py", "c.py"), ("s1", "s2", "s3", "s4")
NAMES = st.sets(st.sampled_from("xyz"))


@st.composite
def histories(draw: st.DrawFn) -> list[FileFact]:
    """Four scans over three files; each file is analysed, renamed, removed, skipped or not listed at all."""
    facts: list[FileFact] = []
    for scan in SCANS:
        left = list(draw(st.permutations(PATHS)))
        while left:
            path, what = left.pop(), draw(st.sampled_from(("analysed", "removed", "skipped", "unlisted", "renamed")))
            if what == "analysed":
                facts.append(analysed(scan, path, *sorted(draw(NAMES))))
            elif what == "removed":
                facts.append(removed(scan, path))
            elif what == "skipped":
                facts.append(skipped(scan, path))
            elif what == "renamed" and left:
                target = left.pop()
                facts.append(removed(scan, path, to=target))
                facts.append(analysed(scan, target, *sorted(draw(NAMES)), was=path))
    return facts


@given(histories(), st.integers(0, 4))
def test_replaying_on_from_any_scan_equals_replaying_everything(facts: Sequence[FileFact], cut: int) -> None:
    outcomes = {each for fact in facts for each in outcomes_of(fact)}
    before = {each for each in outcomes if each.scan <= f"s{cut}"}
    halfway, early = replay(before, {})
    lives, late = replay(outcomes - before, halfway)

    assert (lives, {**early, **late}) == replay(outcomes, {})
