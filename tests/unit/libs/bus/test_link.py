"""Frames: what a server's bytes mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.bus.link import Frame, header_block

VALUES = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc", "Z"]), max_size=30)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_headers_survive_the_wire(headers: dict[str, str]) -> None:
    frame = Frame("s", "", b"", header_block(headers))

    assert frame.headers == headers
    assert frame.status == 0


def test_a_message_without_headers_has_none() -> None:
    assert Frame("s", "", b"x", b"").headers == {}
    assert Frame("s", "", b"x", b"").status == 0


def test_a_status_with_headers() -> None:
    frame = Frame("s", "", b"", b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n")

    assert (frame.status, frame.description) == (408, "Request Timeout")
    assert frame.headers == {"Nats-Pending-Messages": "7"}


def test_a_status_without_words() -> None:
    frame = Frame("s", "", b"", b"NATS/1.0 503\r\n\r\n")

    assert (frame.status, frame.description, frame.is_loss) == (503, "", False)
