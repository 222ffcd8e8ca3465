"""A fact survives the wire, tells what it is, and is never too large."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.events.analyzer import Category, FailReason, FileAnalysis, FileAnalyzed, FileFailed, Finding, Severity
from libs.events.catalog import BY_TYPE, FACTS, Unreadable, decode
from libs.events.differ import FileQueued, ScanRequested
from libs.events.envelope import MAX_FACT_BYTES, Fact, cloud_event_headers, describe, encode
from libs.events.ledger import ScanHalted

TOKENS = st.text("abcXYZ019_-", min_size=1, max_size=30)
KEYS = st.text("0123456789abcdef", min_size=16, max_size=16)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
QUEUED = st.builds(FileQueued, repository_id=TOKENS, scan_id=TOKENS, key=KEYS, path=TEXTS, content_hash=TOKENS)
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["ruff/b006", "secrets/aws"]),
    category=st.sampled_from(Category),
    severity=st.sampled_from(Severity),
    title=TEXTS,
    description=TEXTS,
    suggestion=TEXTS,
    start_line=st.integers(1, 10**6),
    end_line=st.integers(1, 10**6),
    symbol=TEXTS,
    cwe=st.none() | st.integers(1, 2000),
    confidence=st.floats(0, 1),
    fingerprint=KEYS,
)
ANALYZED = st.builds(
    FileAnalyzed,
    repository_id=TOKENS,
    scan_id=TOKENS,
    key=KEYS,
    path=TEXTS,
    content_hash=TOKENS,
    analysis=st.builds(
        FileAnalysis,
        language=TEXTS,
        engine=TEXTS,
        engine_version=TEXTS,
        outcome=st.sampled_from(["complete", "partial"]),
        findings=st.lists(FINDINGS, max_size=4),
    ),
)


def a_failure(**changes: object) -> FileFailed:
    fields = {"repository_id": "r", "scan_id": "s", "key": "0" * 16, "path": "p", "reason": FailReason.TIMEOUT}
    return FileFailed.model_validate(fields | changes)


@given(st.one_of(QUEUED, ANALYZED))
def test_what_is_decoded_is_what_was_encoded(fact: Fact) -> None:
    assert decode(fact.type_name, encode(fact)) == fact


@given(QUEUED, st.dictionaries(TEXTS.map(lambda name: f"later_{name}"), st.integers() | TEXTS | st.none(), max_size=5))
def test_fields_of_a_later_version_are_ignored(fact: FileQueued, later: dict[str, object]) -> None:
    payload = json.dumps(json.loads(encode(fact)) | later).encode()

    assert decode(fact.type_name, payload) == fact


def test_absent_optional_fields_are_left_out() -> None:
    fact = FileQueued(repository_id="r", scan_id="s", key="0" * 16, path="p", content_hash="h", size=1)

    assert "previous_key" not in json.loads(encode(fact))


@pytest.mark.parametrize("type_name", ["strandline.file.queued.v2", "", None])
def test_an_unknown_type_is_unreadable(type_name: str | None) -> None:
    with pytest.raises(Unreadable, match="unknown fact type"):
        decode(type_name, b"{}")


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_payload_of_another_shape_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable, match=r"strandline\.file\.queued\.v1"):
        decode(FileQueued.type_name, payload)


def test_an_unreadable_payload_is_not_repeated_in_the_message() -> None:
    with pytest.raises(Unreadable) as unreadable:
        decode(FileQueued.type_name, b'{"path": "geheim", "key": "geheim"}')
    assert "geheim" not in str(unreadable.value)


def test_a_fact_of_the_largest_size_is_encoded_and_one_byte_more_is_not() -> None:
    room = MAX_FACT_BYTES - len(encode(a_failure(path="x")))

    assert len(encode(a_failure(path="x" * (room + 1)))) == MAX_FACT_BYTES
    with pytest.raises(ValueError, match="over the limit"):
        encode(a_failure(path="x" * (room + 2)))


def test_a_fact_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_failure().path = "other"  # type: ignore[misc]


@pytest.mark.parametrize("field", ["repository_id", "scan_id"])
@pytest.mark.parametrize("value", ["", "a.b", "a b", "*", ">", "a\n", "ä", "x" * 81])
def test_an_id_that_would_break_a_subject_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        a_failure(**{field: value})


@given(ANALYZED)
def test_headers_are_printable_and_name_the_fact(fact: FileAnalyzed) -> None:
    headers = cloud_event_headers(fact, at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert headers["ce-id"] == fact.subject
    assert headers["ce-time"] == "2026-01-02T03:04:05.678Z"
    assert (headers["ce-type"], headers["ce-subject"]) == ("strandline.file.analyzed.v1", fact.key)


def test_a_numbered_fact_has_a_subject_for_each_number() -> None:
    facts = [ScanHalted(repository_id="r", scan_id="s", number=number, reason="person") for number in (1, 2)]

    assert [fact.subject for fact in facts] == ["scan.r.s.halted.1", "scan.r.s.halted.2"]


def test_a_scan_has_one_request() -> None:
    fact = ScanRequested(repository_id="r", scan_id="s", requested_at=datetime.now(UTC))

    assert fact.subject == "scan.r.s.requested"


def test_every_fact_has_a_name_and_a_place_of_its_own() -> None:
    assert len(BY_TYPE) == len({fact.token for fact in FACTS}) == len(FACTS)
    assert all(fact.type_name.startswith("strandline.") and fact.type_name.endswith(".v1") for fact in FACTS)


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_is_described_by_its_type(fact: type[Fact]) -> None:
    schema = describe(fact)

    assert (schema["title"], schema["$id"]) == (fact.type_name, f"{fact.type_name}.json")
    assert {"repository_id", "scan_id"} <= set(schema["required"])
