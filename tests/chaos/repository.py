"""A git repository of mixed small sources, always the same: real findings, copies, odd names, every skip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
PYTHON = """import subprocess


def load_{word}(path, seen=[]):
    # TODO: {word} does not mind {number} yet
    try:
        text = open(path).read()
    except:
        pass
    seen.append(eval(text))
    return seen


def run_{word}(name):
    password = "hunter{number}horse"
    return subprocess.call("echo " + name + password, shell=True)


def sort_{word}(items):
    total = 0
    for item in items:
        if item > {number}:
            for other in items:
                if other == item or other > {number} and item:
                    total += other
                elif other is None:
                    total -= 1
                else:
                    while total > {number}:
                        total -= item
    return total
"""
JAVASCRIPT = """// FIXME: {word} {number}
function {word}(input) {{
  var result = eval(input);
  if (result == {number}) {{
    document.getElementById("{word}").innerHTML = result;
  }}
  try {{ JSON.parse(input); }} catch (error) {{}}
  return result;
}}
module.exports = {{ {word} }};
"""
GO = """package {word}

import "os"

// TODO: {word} {number}
func Read{number}(path string) []byte {{
\tdata, _ := os.ReadFile(path)
\tif len(data) > {number} {{
\t\tpanic("too long")
\t}}
\treturn data
}}
"""
RUST = """// TODO: {word}
pub fn {word}_{number}(text: &str) -> i64 {{
    let value: i64 = text.parse().unwrap();
    unsafe {{ *(&value as *const i64) }}
}}
"""
SHELL = """#!/bin/sh
# HACK: {word} {number}
cd /tmp/{word}
rm -rf $1/{number}
eval "$2"
"""
TEXT = "# {word}\n\nNothing to see in {number}.\n"
KINDS: tuple[tuple[str, str, int], ...] = (
    ("py", PYTHON, 50),
    ("js", JAVASCRIPT, 20),
    ("go", GO, 10),
    ("rs", RUST, 8),
    ("sh", SHELL, 7),
    ("md", TEXT, 5),
)
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty")
ODD_NAMES = ("with space.py", 'quo"te.py', "néw.py", "line\nbreak.py", "star*.py", "a>b.py")


def make_repository(directory: Path, files: int, *, seed: int = 7) -> Path:
    """``files`` tracked files in one commit."""
    directory.mkdir()
    random = Random(seed)
    skipped = _write_skipped(directory)
    for number in range(files - skipped - len(ODD_NAMES)):
        _write_source(directory, random, number)
    for number, name in enumerate(ODD_NAMES):
        (directory / name).write_text(PYTHON.format(word="odd", number=number))
    for command in (["init", "-q", "-b", "main"], ["add", "-A", "-f"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=directory, check=True, env={**os.environ, **ENVIRONMENT})
    return directory


def _write_source(directory: Path, random: Random, number: int) -> None:
    """One in twenty is a copy: the number that tells contents apart repeats."""
    ending, template, _ = random.choices(KINDS, [weight for *_, weight in KINDS])[0]
    word, folder = random.choice(WORDS), random.choice(WORDS)
    place = directory / folder / f"{word}_{number}.{ending}"
    place.parent.mkdir(exist_ok=True)
    same = 0 if random.random() < 0.05 else number
    place.write_text(template.format(word="same" if same == 0 else word, number=same))


def _write_skipped(directory: Path) -> int:
    """One file and more for each reason to skip; returns how many."""
    writers: list[Callable[[], object]] = [
        lambda: (directory / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        lambda: (directory / "blob.bin").write_bytes(bytes(2000)),
        lambda: (directory / "empty.py").write_bytes(b""),
        lambda: (directory / "also_empty.txt").write_bytes(b""),
        lambda: _write_into(directory / "node_modules" / "left-pad", "index.js", "module.exports = 1;\n"),
        lambda: _write_into(directory / "vendor" / "lib", "lib.go", "package lib\n"),
        lambda: (directory / "link.py").symlink_to("empty.py"),
        lambda: (directory / "package-lock.json").write_text('{"lockfileVersion": 3}\n'),
        lambda: (directory / "large.lfs").write_text(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
        ),
    ]
    for write in writers:
        write()
    return len(writers)


def _write_into(directory: Path, name: str, text: str) -> None:
    directory.mkdir(parents=True)
    (directory / name).write_text(text)
