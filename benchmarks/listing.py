"""How long a large repository takes to list, and how much memory: ``python benchmarks/listing.py [files]``.

The repository is built once, by ``git fast-import``, in the folder for temporary files.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.differ.clients.mirror import GitMirrors
from services.differ.listing import make_listing, read_settings

BODY = (
    "def f_{n}(a, b):\n    if a > {n} and b:\n        for x in range(a):\n            print(x, {n})\n    return b\n\n\n"
    * 8
)


def build(folder: Path, files: int) -> None:
    """A repository of so many small files that are all different, in two commits."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    process = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    for command in _commands(files):
        process.stdin.write(command)
    process.stdin.close()
    if process.wait():
        raise SystemExit("fast-import failed")
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


def _commands(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\nmark :1\ncommitter a <a@b> 0 +0000\ndata 1\na\n"
    for number in range(files):
        content = BODY.replace("{n}", str(number)).encode()
        path = b"package%d/module%d/file%d.py" % (number // 1000, number // 50, number)
        yield b"M 644 inline %s\ndata %d\n%s\n" % (path, len(content), content)
    yield b"commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\nb\nfrom :1\n"
    for number in range(0, files, 100):
        path = b"package%d/module%d/file%d.py" % (number // 1000, number // 50, number)
        yield b"M 644 inline %s\ndata 8\nx = %04d\n" % (path, number % 10000)


async def measure(location: Path, mirrors_folder: Path) -> dict[str, float]:
    """Seconds of each step, and the peak of this process's memory in MB."""
    kept = 0

    async def keep(contents: Mapping[str, bytes]) -> None:
        nonlocal kept
        kept += sum(map(len, contents.values()))

    mirrors, seconds, began = GitMirrors(mirrors_folder), {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        seconds[name] = round(time.perf_counter() - began, 3)
        began = time.perf_counter()

    snapshot = await mirrors.snapshot(str(location), None, scan_id="bench")
    lap("fetch")
    entries = await mirrors.list_tree(str(location), snapshot.tree)
    settings = await read_settings(mirrors, str(location), entries)
    lap("tree")
    listing = await make_listing(
        mirrors,
        str(location),
        tree=snapshot.tree,
        commit=snapshot.commit,
        settings=settings,
        keep_contents=keep,
        entries=entries,
    )
    lap("decide")
    facts = sum(1 for _ in listing.facts(repository_id="r", scan_id="s", engine="static"))
    lap("facts")
    await mirrors.snapshot(str(location), None, scan_id="again")
    lap("snapshot again")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**seconds, "files": facts, "content MB": round(kept / 1e6, 1), "peak MB": round(peak, 1)}


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    location = Path(tempfile.gettempdir()) / f"strandline-benchmark-{files}.git"
    if not location.exists():
        build(location, files)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(location, Path(folder))), indent=1))


if __name__ == "__main__":
    main()
