"""An index is data: it is read, or it is said to be damaged; nothing else happens."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.differ.clients.git_index import BadIndex, parse_index


@pytest.mark.parametrize(
    "data", [b"", b"DIRC", b"DIRC\0\0\0\x05\0\0\0\0", b"DIRC\0\0\0\x02\xff\xff\xff\xff" + b"\0" * 200]
)
def test_a_damaged_index_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(BadIndex):
        parse_index(data, oid_bytes=20, written_ns=0)


def test_a_split_index_is_said_to_be_so() -> None:
    data = b"DIRC\0\0\0\x02\0\0\0\0" + b"link\0\0\0\x04abcd" + b"\0" * 20

    with pytest.raises(BadIndex, match="split over two files"):
        parse_index(data, oid_bytes=20, written_ns=0)


@given(st.binary(max_size=400), st.sampled_from([2, 3, 4]), st.integers(0, 5))
def test_any_bytes_end_in_an_index_or_its_error(rest: bytes, version: int, count: int) -> None:
    with contextlib.suppress(BadIndex):
        parse_index(b"DIRC\0\0\0%c\0\0\0%c" % (version, count) + rest, oid_bytes=20, written_ns=0)
