"""Which account PostgreSQL runs under: ours, or, since it refuses to run as root, one without rights."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from services.standalone.embedded.failure import EmbeddedFailed

UNPRIVILEGED = ("strandline", "pgserver", "postgres", "nobody")
"""Accounts to run PostgreSQL under when we are root; the first there is. None is made: that is the owner's decision."""


@dataclass(frozen=True)
class Account:
    """A user id and its primary group."""

    uid: int
    gid: int


def choose_account(cluster: Path) -> Account | None:
    """None: our own. As root, whoever owns the cluster already, else the first unprivileged account there is.

    Raises:
        EmbeddedFailed: we are root and the machine has no such account.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return Account(cluster.stat().st_uid, cluster.stat().st_gid)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedFailed("PostgreSQL refuses to run as root and there is no account 'nobody'; run as another user")


def give(directory: Path, account: Account | None) -> None:
    """Make a directory that only this account may enter, and root."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account is not None and directory.stat().st_uid != account.uid:
        os.chown(directory, account.uid, account.gid)


def open_way(path: Path, account: Account | None) -> None:
    """Let the account walk to ``path``.

    As root our data directory (and often the virtual environment) lies below a home of mode 0700, which the account
    cannot pass. Only the search bit is added, only where it is missing: names below stay unlisted, and
    everything of ours in the data directory is in subdirectories of mode 0700.
    """
    if account is None:
        return
    for parent in path.resolve().parents:
        status = parent.stat()
        if not _may(status, account, stat.S_IXUSR):
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def open_tree(root: Path, account: Account | None) -> None:
    """Let the account read what was installed by a root whose umask hides everything from others."""
    if account is None or _may((root / "bin" / "postgres").stat(), account, stat.S_IRUSR):
        return
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _may(status: os.stat_result, account: Account, owner_bit: int) -> bool:
    shift = 0 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 6
    return bool(status.st_mode & (owner_bit >> shift))
