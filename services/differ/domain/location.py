"""What a repository's location means: a path on this machine or an address elsewhere, credentials set apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

_SCP_LIKE = re.compile(r"^(?:[^/@:]+@)?\[?[^/:\]]+\]?:")
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]*@")


class BadLocation(ValueError):
    """The location names nothing that can be fetched."""


@dataclass(frozen=True, kw_only=True)
class Location:
    """``address`` is safe to show. ``protocol`` is ``path`` for a place on this machine."""

    address: str
    protocol: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def on_disk(self) -> bool:
        return self.protocol == "path"


def parse_location(text: str) -> Location:
    """Tell paths from addresses as git does.

    Raises:
        BadLocation: it is empty, holds control characters or names a transport helper.
    """
    if not text or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise BadLocation("the location is empty or holds control characters")
    if _URL.match(text):
        return _parse_url(text)
    if "::" in text.split("/", 1)[0] and not text.startswith("["):
        raise BadLocation(f"the transport {text.split('::', 1)[0]}:: is not allowed")
    if _SCP_LIKE.match(text) and not text.startswith((".", "~")):
        return _parse_scp(text)
    return Location(address=text, protocol="path")


def public_address(text: str) -> str:
    """The location as it may be shown and published: without credentials, whatever it is."""
    try:
        return parse_location(text).address
    except (BadLocation, ValueError):
        return redact(text)


def redact(text: str) -> str:
    """Any text with the credentials of the addresses in it taken out."""
    return _SECRET.sub(r"\1", text)


def _parse_url(text: str) -> Location:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadLocation(f"{redact(text)} is no address") from None
    protocol = parts.scheme.lower()
    if host.startswith("-") or (not host and protocol != "file"):
        raise BadLocation(f"{redact(text)} names no host")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port else ""
    user = unquote(parts.username) if parts.username else None
    if protocol == "ssh":
        if user and user.startswith("-"):
            raise BadLocation(f"{redact(text)} names no user")
        place = f"{parts.username}@{place}" if parts.username else place
    address = urlunsplit((protocol, place, parts.path, parts.query, ""))
    password = unquote(parts.password) if parts.password else None
    return Location(address=address, protocol=protocol, user=user, password=password)


def _parse_scp(text: str) -> Location:
    if text.startswith("-") or "@-" in text.split(":", 1)[0]:
        raise BadLocation("a host cannot start with a dash")
    return Location(address=text, protocol="ssh")
