"""Subjects and keys are valid and unique whatever a path may hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.events.differ import FileQueued, ScanStarted
from libs.events.subjects import file_key, new_scan_id, path_text, pattern, slug

TOKEN = re.compile(r"^[A-Za-z0-9_-]{1,80}$")
SUBJECT = re.compile(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
PATHS = st.one_of(
    st.binary(min_size=1, max_size=4000),
    st.sampled_from([b"*", b">", b"a b", b"a\nb", b"a.b", b'"', b"\xff\xfe", b"a" * 4000, "ä".encode()]),
)


@given(PATHS)
def test_any_path_gives_a_valid_subject(path: bytes) -> None:
    fact = FileQueued(
        repository_id="r", scan_id="s", key=file_key(path), path=path_text(path), content_hash="h", size=1
    )

    assert SUBJECT.match(fact.subject)
    assert fact.subject == f"scan.r.s.file.queued.{file_key(path)}"


@given(st.sets(PATHS, min_size=2, max_size=50))
def test_different_paths_have_different_keys(paths: set[bytes]) -> None:
    assert len({file_key(path) for path in paths}) == len(paths)


@given(PATHS)
def test_the_same_path_has_the_same_key(path: bytes) -> None:
    assert file_key(path) == file_key(bytes(bytearray(path)))


@given(PATHS)
def test_the_path_for_people_is_always_text(path: bytes) -> None:
    text = path_text(path)

    assert text.encode("utf-8")


@given(st.text(max_size=300))
def test_a_slug_is_a_token(name: str) -> None:
    assert TOKEN.match(slug(name))


def test_a_slug_is_recognised() -> None:
    assert slug("https://example.org/Team/My Project.git") == "https-example-org-team-my-projec"


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.integers(min_value=1, max_value=10**9),
    st.integers(min_value=0, max_value=2**30 - 1),
    st.integers(min_value=0, max_value=2**30 - 1),
)
def test_a_later_scan_has_a_later_id(moment: datetime, later: int, one: int, other: int) -> None:
    first = new_scan_id(moment, one)

    assert TOKEN.match(first)
    assert len(first) == 16
    assert first < new_scan_id(moment + timedelta(milliseconds=later), other)


def test_scan_ids_of_the_same_moment_differ() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    assert len({new_scan_id(moment) for _ in range(200)}) == 200


def test_a_pattern_fits_its_facts() -> None:
    assert pattern(FileQueued.token, keyed=True) == "scan.*.*.file.queued.*"
    assert pattern(ScanStarted.token, repository="r", scan="s") == "scan.r.s.started"
