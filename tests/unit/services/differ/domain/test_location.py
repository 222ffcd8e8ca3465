"""Paths and addresses are told apart as git does, and credentials never show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.differ.domain.location import BadLocation, parse_location, public_address, redact


@pytest.mark.parametrize(
    ("text", "protocol", "address"),
    [
        ("/srv/a", "path", "/srv/a"),
        ("./a:b", "path", "./a:b"),
        ("a/b:c", "path", "a/b:c"),
        ("-x", "path", "-x"),
        ("https://example.org/a.git", "https", "https://example.org/a.git"),
        ("HTTPS://u:p%40ss@example.org:8443/a.git#x", "https", "https://example.org:8443/a.git"),
        ("https://[::1]:8443/a", "https", "https://[::1]:8443/a"),
        ("ssh://git:secret@example.org/a", "ssh", "ssh://git@example.org/a"),
        ("git@example.org:a/b.git", "ssh", "git@example.org:a/b.git"),
        ("host:a", "ssh", "host:a"),
        ("file:///srv/a", "file", "file:///srv/a"),
    ],
)
def test_locations_are_told_apart(text: str, protocol: str, address: str) -> None:
    location = parse_location(text)

    assert (location.protocol, location.address) == (protocol, address)


@pytest.mark.parametrize(
    "text", ["", "a\n", "ext::sh", "ssh://-x/a", "ssh://-x@h/a", "https:///a", "-x:a", "a@-x:b", "https://h:x/"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadLocation):
        parse_location(text)


def test_credentials_are_kept_apart() -> None:
    location = parse_location("https://user:p%40ss@example.org/a")

    assert (location.user, location.password) == ("user", "p@ss")
    assert "p@ss" not in repr(location)


@given(st.text("abc1-_.%", min_size=1, max_size=10))
def test_a_password_never_shows(secret: str) -> None:
    address = f"https://user:SECRET{secret}@example.org/x"

    assert "SECRET" not in public_address(address)
    assert "SECRET" not in redact(f"fatal: unable to access '{address}': no")
