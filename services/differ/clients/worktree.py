"""A checkout on disk, read by ourselves: which files differ from a commit, and their content.

git is never run here. Every path is opened component by component without following links, so nothing outside of
the work tree can be read through it, whatever its index or its directories say.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.differ.clients.git_index import BadIndex, Cached, Index, parse_index
from services.differ.domain.decision import omitted_marker
from services.differ.domain.tree import SUBMODULE, SYMLINK, Entry
from services.differ.ports import RepositoryProblem

MAX_INDEX = 1 << 30
MAX_EXCLUDE = 1 << 20
FLUSH = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Where a work tree and its git directory are. ``root`` is None for a bare repository."""

    root: Path | None
    git_dir: Path
    common_dir: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A path that is not as in the commit: ``gone``, or to be read from disk (``link``: a submodule's commit)."""

    path: bytes
    gone: bool = False
    mode: int | None = None
    link: str | None = None


def find_checkout(place: Path) -> Checkout:
    """What kind of repository is at this path, from its files alone.

    Raises:
        RepositoryProblem: there is none, or it is of a kind that is not safe to follow.
    """
    _check_readable(place)
    dot_git = place / ".git"
    if dot_git.is_symlink():
        raise RepositoryProblem(f"{dot_git} is a symbolic link, which is not followed", mend="scan its target instead")
    if dot_git.is_file():
        return _linked_checkout(place, dot_git)
    if _is_git_dir(dot_git):
        if (dot_git / "commondir").exists():
            raise RepositoryProblem(f"{dot_git} borrows another repository's history, which is not followed")
        return Checkout(root=place, git_dir=dot_git, common_dir=dot_git)
    if _is_git_dir(place):
        return Checkout(root=None, git_dir=place, common_dir=place)
    for parent in place.parents:
        if (parent / ".git").exists():
            raise RepositoryProblem(f"{place} is inside the repository {parent}", mend=f"scan {parent}")
    raise RepositoryProblem(f"{place} is not a git repository", mend="run git init and commit, or name another path")


def _check_readable(place: Path) -> None:
    try:
        with os.scandir(place):
            pass
    except FileNotFoundError:
        raise RepositoryProblem(f"{place} does not exist") from None
    except NotADirectoryError:
        raise RepositoryProblem(f"{place} is a file, not a git repository") from None
    except OSError as error:
        raise RepositoryProblem(f"{place} cannot be read: {error.strerror}") from None
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            os.lstat(place / ".git" / "HEAD")
        except PermissionError as error:
            raise RepositoryProblem(f"{place}/.git cannot be read: {error.strerror}") from None


def _is_git_dir(place: Path) -> bool:
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()


def _linked_checkout(place: Path, dot_git: Path) -> Checkout:
    """A linked work tree or a submodule. Its repository must know it: a ``.git`` file may be hostile."""
    target = _pointer(dot_git, prefix="gitdir: ")
    if target is None or not (target / "HEAD").is_file():
        raise RepositoryProblem(f"{dot_git} points to no git repository", mend="run git worktree repair")
    common = _pointer(target / "commondir")
    if common is not None:
        back = _pointer(target / "gitdir")
        if back is None or os.path.realpath(back) != os.path.realpath(dot_git):
            raise RepositoryProblem(
                f"{dot_git} points to a repository that does not know it", mend="run git worktree repair"
            )
        return Checkout(root=place, git_dir=target, common_dir=common)
    if not any(target.is_relative_to(os.path.realpath(parent / ".git" / "modules")) for parent in place.parents):
        raise RepositoryProblem(f"{dot_git} points to a repository elsewhere", mend="clone it and scan the clone")
    return Checkout(root=place, git_dir=target, common_dir=target)


def _pointer(file: Path, *, prefix: str = "") -> Path | None:
    """The path a small file holds, made absolute; None when there is none."""
    try:
        text = read_regular(file, 8192).decode("utf-8", "surrogateescape").rstrip("\n")
    except OSError:
        return None
    if not text.startswith(prefix) or "\0" in text:
        return None
    return Path(os.path.realpath(file.parent / text[len(prefix) :]))


def read_regular(file: Path, most: int) -> bytes:
    """Up to ``most`` bytes of a regular file; a link, a pipe or a device is an OSError."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{file} is not a regular file")
        return opened.read(most)


def read_index(checkout: Checkout, *, oid_bytes: int) -> tuple[Index | None, str]:
    """The index and a warning; None when it cannot be used (then every file is read)."""
    file = checkout.git_dir / "index"
    try:
        written = os.lstat(file).st_mtime_ns
        data = read_regular(file, MAX_INDEX)
    except FileNotFoundError:
        return Index(), ""
    except OSError as error:
        return None, f"the index cannot be read ({error.strerror or 'not a regular file'}): every file is read"
    try:
        return parse_index(data, oid_bytes=oid_bytes, written_ns=written), ""
    except BadIndex as error:
        return None, f"{error}: every file is read"


def read_exclude(checkout: Checkout) -> bytes:
    """``info/exclude``, which is data like ``.gitignore``."""
    try:
        return read_regular(checkout.common_dir / "info" / "exclude", MAX_EXCLUDE)
    except OSError:
        return b""


class Directories:
    """Opens paths below a root without following any link. Paths in sorted order share their open directories."""

    def __init__(self, root: Path) -> None:
        self._open: list[tuple[bytes, int]] = [(b"", os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))]

    def __enter__(self) -> Directories:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop()[1])

    def parent(self, path: bytes) -> tuple[int, bytes]:
        """The open directory that holds the path, and the path's last component.

        Raises:
            OSError: there is no such directory, or one of the components is a link.
        """
        *folders, name = path.split(b"/")
        if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in (*folders, name)):
            raise FileNotFoundError(2, "no path of a work tree")
        shared = 0
        while shared < len(folders) and shared + 1 < len(self._open) and self._open[shared + 1][0] == folders[shared]:
            shared += 1
        while len(self._open) > shared + 1:
            os.close(self._open.pop()[1])
        for folder in folders[shared:]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._open.append((folder, os.open(folder, flags, dir_fd=self._open[-1][1])))
        return self._open[-1][1], name


def find_differences(
    root: Path, *, head: Mapping[bytes, Entry], index: Index | None, untracked: list[bytes]
) -> list[Difference]:
    """What on disk is not as in the commit: sorted, what is gone first. A touched file may turn out to be the same."""
    known = dict.fromkeys(head) if index is None else index.entries
    candidates = sorted({*known, *untracked})
    found = [] if index is None else _unstaged(head, index, set(candidates))
    with Directories(root) as directories:
        for path in candidates:
            cached = known.get(path)
            difference = _difference(directories, path, cached, head.get(path), index)
            if difference is not None:
                found.append(difference)
    return sorted(found, key=lambda difference: (not difference.gone, difference.path))


def _unstaged(head: Mapping[bytes, Entry], index: Index, candidates: set[bytes]) -> list[Difference]:
    """Paths of the commit that the index has dropped and that are not on disk as untracked files either."""
    return [
        Difference(path=path, gone=True)
        for path in head
        if path not in candidates and not any(path.startswith(folder) for folder in index.sparse)
    ]


def _difference(
    directories: Directories, path: bytes, cached: Cached | None, committed: Entry | None, index: Index | None
) -> Difference | None:
    if cached is not None and cached.mode == SUBMODULE:
        same = committed is not None and committed.oid == cached.oid
        return None if same else Difference(path=path, link=cached.oid)
    if committed is not None and committed.mode == SUBMODULE and cached is None:
        return None
    if cached is not None and cached.skip_worktree:
        return None
    try:
        folder, name = directories.parent(path)
        seen = os.lstat(name, dir_fd=folder)
    except PermissionError:
        return Difference(path=path, mode=0o100644)
    except OSError:
        return Difference(path=path, gone=True) if committed is not None else None
    unchanged = committed is not None and cached is not None and cached.oid == committed.oid
    if unchanged and index is not None and cached is not None and cached.matches(seen, written_ns=index.written_ns):
        return None
    if not (stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode)):
        return Difference(path=path, gone=True) if committed is not None else None
    tracked_mode = cached.mode if cached is not None else committed.mode if committed is not None else None
    return Difference(path=path, mode=tracked_mode)


def import_stream(
    root: Path, differences: list[Difference], *, ref: str, parent: str | None, most: int, most_in_all: int
) -> Iterator[bytes]:
    """Commands for ``git fast-import`` that make one commit of the differences, contents read as it is consumed.

    A file that vanished meanwhile is gone; one over ``most`` bytes, or not readable, is replaced by a marker.

    Raises:
        RepositoryProblem: they hold more than ``most_in_all`` bytes.
    """
    head = f"feature done\ncommit {ref}\ncommitter strandline <> 0 +0000\ndata 0\n"
    buffer = bytearray(head.encode() + (f"from {parent}\n".encode() if parent else b""))
    total = 0
    with Directories(root) as directories:
        for difference in differences:
            command = _command(directories, difference, most)
            total += len(command)
            if total > most_in_all:
                raise RepositoryProblem(
                    f"uncommitted and untracked files hold more than {most_in_all >> 20} MiB",
                    mend="add what need not be scanned to .gitignore",
                )
            buffer += command
            if len(buffer) >= FLUSH:
                yield bytes(buffer)
                buffer.clear()
    yield bytes(buffer) + b"\ndone\n"


def _command(directories: Directories, difference: Difference, most: int) -> bytes:
    path = quote_path(difference.path)
    if difference.gone:
        return b"D %s\n" % path
    if difference.link is not None:
        return b"M 160000 %s %s\n" % (difference.link.encode(), path)
    read = _read(directories, difference.path, most)
    if read is None:
        return b"D %s\n" % path
    mode, content = read
    if mode != SYMLINK and difference.mode in (0o100644, 0o100755):
        mode = difference.mode
    return b"M %o inline %s\ndata %d\n%s\n" % (mode, path, len(content), content)


def _read(directories: Directories, path: bytes, most: int) -> tuple[int, bytes] | None:
    """Mode and content; None when nothing that git could hold is there (any more)."""
    try:
        folder, name = directories.parent(path)
        seen = os.lstat(name, dir_fd=folder)
        if stat.S_ISLNK(seen.st_mode):
            return SYMLINK, os.readlink(name, dir_fd=folder)
        if not stat.S_ISREG(seen.st_mode):
            return None
        mode = 0o100755 if seen.st_mode & 0o111 else 0o100644
        return mode, _content(folder, name, most)
    except PermissionError:
        return 0o100644, omitted_marker("unreadable", size=0, modified_ns=0)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return None if error.errno == errno.ELOOP else (0o100644, omitted_marker("unreadable", size=0, modified_ns=0))


def _content(folder: int, name: bytes, most: int) -> bytes:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(handle, "rb", buffering=0) as opened:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise FileNotFoundError(2, "no regular file any more")
        content = b"" if about.st_size > most else _read_up_to(opened.fileno(), most + 1)
        if about.st_size > most or len(content) > most:
            return omitted_marker("too_large", size=max(about.st_size, len(content)), modified_ns=about.st_mtime_ns)
        return content


def _read_up_to(handle: int, most: int) -> bytes:
    parts = []
    while most > 0 and (part := os.read(handle, min(most, FLUSH))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def quote_path(path: bytes) -> bytes:
    """A path as ``git fast-import`` reads it, whatever bytes it holds."""
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%s"' % escaped
