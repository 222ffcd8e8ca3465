"""Repositories to measure on: made of so many small files that are all different, or of this Python's own library."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

BODY = (
    "def f_{n}(a, b):\n    if a > {n} and b:\n        for x in range(a):\n            print(x, {n})\n    return b\n\n\n"
    * 8
)
LEFT_OUT = frozenset({"site-packages", "__pycache__"})


def many_files(folder: Path, files: int) -> Path:
    """A bare repository with two commits; the second changes one file in a hundred."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    _import(folder, _commands(files))
    return folder


def standard_library(folder: Path) -> Path:
    """The running interpreter's standard library, tests included, as a bare repository of one commit."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    _import(folder, _library(Path(sysconfig.get_paths()["stdlib"])))
    return folder


def _import(folder: Path, commands: Iterator[bytes]) -> None:
    process = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    for command in commands:
        process.stdin.write(command)
    process.stdin.close()
    if process.wait():
        raise RuntimeError("git fast-import failed")
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


def _commands(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\nmark :1\ncommitter a <a@b> 0 +0000\ndata 1\na\n"
    for number in range(files):
        yield _file(_path(number), BODY.replace("{n}", str(number)).encode())
    yield b"commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\nb\nfrom :1\n"
    for number in range(0, files, 100):
        yield _file(_path(number), b"x = %d\n" % number)


def _library(root: Path) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter a <a@b> 0 +0000\ndata 1\na\n"
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and not LEFT_OUT & set(inside.parts):
            yield _file(str(inside).encode(), path.read_bytes())


def _path(number: int) -> bytes:
    return b"package%d/module%d/file%d.py" % (number // 1000, number // 50, number)


def _file(path: bytes, content: bytes) -> bytes:
    return b"M 644 inline %s\ndata %d\n%s\n" % (path, len(content), content)
