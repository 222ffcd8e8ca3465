"""How long a large repository takes to list, and how much memory: ``python -m benchmarks.listing [files]``.

The repository is built once, by ``git fast-import``, in the folder for temporary files.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.repositories import many_files
from services.differ.clients.mirror import GitMirrors
from services.differ.handlers.reading import make_listing, read_settings


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
        many_files(location, files)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(location, Path(folder))), indent=1))


if __name__ == "__main__":
    main()
