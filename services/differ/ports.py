"""What the differ needs of git: bare mirrors of its own, read by plumbing, safe with any repository.

A scan is a tree. ``snapshot`` fetches, and fixes what is to be scanned as one tree id in the mirror; everything
else is a function of such ids, so a listing that is repeated after a crash is the same listing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from libs.events.differ import ScanRequested
from libs.questions.differ import ChangeRepository, RegisterRepository, Repository
from services.differ.domain.plan import Plan
from services.differ.domain.tree import Attributes, Change, Entry


class RepositoryProblem(Exception):
    """The repository cannot be scanned as asked. One sentence for a person, and what mends it where that is known.

    ``passing``: it may work later with nothing changed (network, time limit).
    """

    def __init__(self, reason: str, *, mend: str = "", passing: bool = False) -> None:
        super().__init__(reason if not mend else f"{reason}: {mend}")
        self.reason = reason
        self.mend = mend
        self.passing = passing


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is scanned. ``commit`` is None for a work tree that has no commits yet."""

    commit: str | None
    tree: str
    branch: str | None
    uncommitted: bool = False
    shallow: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A revision as objects of the mirror."""

    commit: str
    tree: str


Contents = list[tuple[str, bytes | None]]
"""Object ids with their content; None: missing in the repository, not a blob, or larger than was asked for."""


class Mirrors(Protocol):
    """A folder of bare mirrors, one per location. A location is an absolute path or a URL, credentials included.

    Everything is bounded in time and output. Every method may raise RepositoryProblem.
    """

    async def snapshot(self, location: str, branch: str | None, *, scan_id: str) -> Snapshot:
        """Fetch, fix what is to be scanned and keep it for this scan.

        A local work tree and no branch: what is on disk, uncommitted and untracked files included, ignored ones not.
        Otherwise the branch, or the repository's own default, as committed.
        """

    async def list_tree(self, location: str, tree: str) -> list[Entry]:
        """Every path of the tree, once each, in git's order."""

    async def compare(self, location: str, base_tree: str, tree: str) -> list[Change]:
        """What differs, once per path, renames found."""

    def read(self, location: str, oids: Sequence[str], *, most: int) -> AsyncGenerator[Contents, None]:
        """The content of each distinct id, in the order asked, in batches of some hundred KiB.

        Blobs of more than ``most`` bytes are not loaded.
        """

    async def churn(self, location: str, commit: str) -> dict[bytes, int]:
        """How many of the latest commits touched each path; what could be counted in about a second."""

    async def attributes(self, location: str, tree: str, paths: Sequence[bytes]) -> Mapping[bytes, Attributes]:
        """What the tree's ``.gitattributes`` say; paths they say nothing of are absent."""

    async def resolve(self, location: str, revision: str, *, head: str | None = None) -> Revision:
        """A commit id, branch, tag or ``HEAD~3`` as a person writes it; ``head`` is the commit that HEAD means.

        The result is fetched if need be, and kept for as long as some kept scan or fetched branch reaches it.
        """

    async def is_ancestor(self, location: str, older: str, newer: str) -> bool:
        """Whether history leads from the newer commit back to the older; False too when one is not there (any more)."""

    async def holds(self, location: str, tree: str) -> bool:
        """Whether the mirror has this tree (an old base may have gone with its mirror)."""

    async def keep(self, location: str, scan_id: str, *, tree: str, commit: str | None = None) -> None:
        """Protect a tree (and a commit) under this scan's name from being collected."""

    async def release(self, location: str, scan_id: str) -> None:
        """Let go of what was kept for this scan; no error when nothing was."""

    async def remove(self, location: str) -> None:
        """Delete the mirror; no error when there is none."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A scan as the differ sees it; ``plan`` is fixed once it has been made."""

    id: str
    repository_id: str
    state: str
    request: ScanRequested
    plan: Plan | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class Base:
    """What a scan is compared with: the tree and commit of the last scan that covered everything."""

    scan_id: str
    tree: str
    commit: str | None


class Repositories(Protocol):
    """What the differ keeps of repositories and scans. Every method may raise Retry while the database is away."""

    async def register(self, repository_id: str, question: RegisterRepository) -> Repository:
        """Add the repository, or return the one that has this location and branch."""

    async def repository(self, repository_id: str) -> Repository | None:
        """The repository, credentials included."""

    async def repositories(self) -> list[Repository]:
        """All of them, by location."""

    async def change(self, question: ChangeRepository) -> None:
        """Change what the question names."""

    async def remove(self, repository_id: str) -> str | None:
        """Forget the repository and its scans; or leave it and return its active scan, if there is one."""

    async def due(self, now: datetime) -> list[str]:
        """Repositories whose interval has passed; each is handed out once an interval, to one replica."""

    async def request(self, request: ScanRequested, *, again: bool) -> Scan | None:
        """Keep a request as the repository's active scan, or return the one that already is.

        ``again`` asks the active one to be followed by another. None: the request became the active scan.

        Raises:
            KeyError: there is no such repository.
        """

    async def untold(self) -> list[ScanRequested]:
        """Requests that may have been kept but not published yet."""

    async def scan(self, scan_id: str) -> Scan | None:
        """One scan, or None."""

    async def keep_plan(self, scan_id: str, plan: Plan) -> Plan | None:
        """Fix what a scan lists. The first plan stays; that one is returned. None: it was ended before it had one."""

    async def activate(self, scan_id: str) -> None:
        """The listing is published."""

    async def fail(self, scan_id: str, problem: str) -> None:
        """The listing is impossible, and why."""

    async def complete(self, scan_id: str, *, covered: bool) -> bool:
        """The scan is over. Returns whether another one was asked for meanwhile."""

    async def follow_up(self, scan_id: str, request: ScanRequested) -> None:
        """Keep the request that follows a scan, where one was asked for; once, however often this is called."""

    async def base(self, repository_id: str, engine_digest: str) -> Base | None:
        """The last scan that covered everything with the same engine and settings."""

    async def last_covered(self, repository_id: str) -> Base | None:
        """The last scan that covered everything, whatever the engine was."""

    async def trees_since(self, repository_id: str, scan_id: str, *, most: int) -> list[str]:
        """The trees of the latest scans after that one, newest first."""

    async def superseded(self, repository_id: str, scan_id: str) -> list[str]:
        """Scans before this one whose trees are kept and needed no more: nothing is compared with them."""

    async def let_go(self, scan_id: str) -> None:
        """The scan's tree is kept no more."""

    async def active_count(self) -> int:
        """How many scans are active now."""
