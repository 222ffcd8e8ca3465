"""What is in the repository works on any machine, and says nothing of the one it was written on."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT, tracked_texts

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home|Users)/[a-z][\w.-]*/")
INDEX_ADDRESSES = re.compile(
    r"(--(?:extra-)?index-url|--find-links|--trusted-host|\bindex[-_]url\s*=|https?://[^\s/]*pypi)"
)
PIN = re.compile(r"^[A-Za-z0-9_.\[\]-]+==[^\s;\\]+")


@pytest.mark.parametrize("unwanted", [MACHINE_PATHS, INDEX_ADDRESSES], ids=["machine paths", "index addresses"])
def test_nothing_points_to_one_machine_or_one_index(unwanted: re.Pattern[str]) -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in tracked_texts()
        if not name.startswith("tests/architecture/")
        for match in [unwanted.search(text)]
        if match
    ]

    assert found == []


def test_every_requirement_is_pinned_and_has_a_hash() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.txt").read_text().strip())
    loose = [entry for entry in entries if not entry.startswith("#") and not _is_pinned(entry)]

    assert len(entries) > 20
    assert loose == []


def _is_pinned(entry: str) -> bool:
    return bool(PIN.match(entry)) and "--hash=sha256:" in entry


def test_no_file_holds_a_conflict() -> None:
    marks = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
    found = [name for name, text in tracked_texts() if marks.search(text)]

    assert found == []
