"""git's answers are read whole, wherever the pipe cuts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.differ.clients.git_output import BlobParser, parse_attributes, parse_raw_diff, parse_tree, safe_in_index
from services.differ.domain.tree import Attributes

BLOBS = st.lists(st.one_of(st.none(), st.binary(max_size=60)), max_size=20)


def answers(blobs: list[bytes | None]) -> tuple[list[str], bytes]:
    oids = [f"{number:040x}" for number in range(len(blobs))]
    parts = [
        f"{oid} missing\n".encode() if blob is None else f"{oid} blob {len(blob)}\n".encode() + blob + b"\n"
        for oid, blob in zip(oids, blobs, strict=True)
    ]
    return oids, b"".join(parts)


@given(BLOBS, st.integers(1, 50), st.integers(0, 60))
def test_blobs_come_out_as_they_went_in_wherever_the_pipe_cuts(blobs: list[bytes | None], cut: int, most: int) -> None:
    oids, output = answers(blobs)
    parser = BlobParser(oids, most=most)

    found = [pair for start in range(0, len(output), cut) for pair in parser.feed(output[start : start + cut])]

    expected = [blob if blob is not None and len(blob) <= most else None for blob in blobs]
    assert found == list(zip(oids, expected, strict=True))


def test_a_tree_is_read_with_odd_names_missing_objects_and_submodules() -> None:
    output = (
        b"100644 blob " + b"a" * 40 + b"      12\ta\tb\n\xff.py\0"
        b"160000 commit " + b"b" * 40 + b"       -\tsub\0"
        b"100644 blob " + b"c" * 40 + b"     BAD\tgone\0"
        b"100644 blob " + b"d" * 40 + b"       1\tgone\0"
    )

    assert [(entry.path, entry.mode, entry.size) for entry in parse_tree(output)] == [
        (b"a\tb\n\xff.py", 0o100644, 12),
        (b"sub", 0o160000, None),
        (b"gone", 0o100644, None),
    ]


def test_a_change_of_type_is_a_modification() -> None:
    oid = b"a" * 40
    output = b":100644 120000 %s %s T\0link\0:100644 000000 %s %s D\0gone\0" % (oid, oid, oid, b"0" * 40)

    assert [(c.kind, c.entry.path, c.entry.mode) for c in parse_raw_diff(output)] == [
        ("modified", b"link", 0o120000),
        ("deleted", b"gone", 0o100644),
    ]


def test_attributes_without_a_value_say_nothing() -> None:
    output = b"a\0linguist-generated\0set\0a\0linguist-vendored\0unspecified\0b\0linguist-vendored\0perhaps\0"

    assert parse_attributes(output) == {b"a": Attributes(generated=True)}


def test_paths_that_git_would_not_index_are_known() -> None:
    assert all(map(safe_in_index, [b"a", b"a/b", b".github/x", b"..a"]))
    assert not any(map(safe_in_index, [b"../a", b"a/.GIT/x", b"./a", b"a//b", b""]))
