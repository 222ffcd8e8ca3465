"""Where a mirror fetches from: an address or a place on disk, allowed protocols only, credentials kept out of sight."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.differ.clients.worktree import Checkout, find_checkout
from services.differ.domain.location import BadLocation, parse_location
from services.differ.ports import RepositoryProblem

_FORBIDDEN_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock(?:/|$)|/\.")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """``fetch_from`` goes to git, ``address`` to people; ``environment`` carries the credentials, if any."""

    address: str
    fetch_from: str
    protocols: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    checkout: Checkout | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a branch, tag or HEAD of the remote is now; ``oid`` is None while it has no commits."""

    ref: str
    oid: str | None
    branch: str | None


def open_remote(location: str, protocols: Sequence[str]) -> Remote:
    """Check the location and how it may be fetched.

    Raises:
        RepositoryProblem: it is not there, or its protocol is not allowed.
    """
    try:
        parsed = parse_location(location)
    except BadLocation as error:
        raise RepositoryProblem(str(error)) from None
    if parsed.on_disk:
        checkout = find_checkout(Path(os.path.abspath(Path(parsed.address).expanduser())))
        address = str(checkout.root or checkout.git_dir)
        return Remote(address=address, fetch_from=str(checkout.git_dir), protocols=("file",), checkout=checkout)
    if parsed.protocol not in protocols:
        allowed = ", ".join(protocols)
        raise RepositoryProblem(
            f"{parsed.address} is fetched by {parsed.protocol}, and allowed are {allowed} and paths"
        )
    environment = {}
    if parsed.protocol in ("http", "https") and (parsed.user or parsed.password):
        environment = _authorization(parsed.address, parsed.user or "", parsed.password or "")
    return Remote(
        address=parsed.address, fetch_from=parsed.address, protocols=(parsed.protocol,), environment=environment
    )


def check_branch(name: str) -> str:
    """The name, if git could have a branch of it.

    Raises:
        RepositoryProblem: it could not.
    """
    if not name or len(name) > 1024 or name == "@" or _FORBIDDEN_IN_BRANCH.search(name):
        raise RepositoryProblem(f"{name!r} is no name of a branch")
    return name


def parse_heads(output: bytes, wanted: str | None) -> Head | None:
    """``ls-remote --symref``: HEAD where no name is wanted, else the branch or tag of that name."""
    oids, symbolic = {}, {}
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            symbolic[name] = value[5:]
        else:
            oids[name] = value
    if wanted is None:
        target = symbolic.get("HEAD", "")
        branch = target.removeprefix("refs/heads/") if target.startswith("refs/heads/") else None
        return Head(ref="HEAD", oid=oids.get("HEAD"), branch=branch)
    for ref in (f"refs/heads/{wanted}", f"refs/tags/{wanted}"):
        if ref in oids:
            return Head(ref=ref, oid=oids[ref], branch=wanted)
    return None


def _authorization(address: str, user: str, password: str) -> dict[str, str]:
    """Basic authorization by git's environment: an argument would show in the list of processes."""
    token = b64encode(f"{user}:{password}".encode()).decode()
    host = "/".join(address.split("/", 3)[:3])
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{host}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {token}",
    }
