"""How fast the static engine is on a directory: ``python -m benchmarks.static_engine DIRECTORY [--workers N]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import time
from collections import Counter
from pathlib import Path

from libs.events.analyzer import FileAnalysis
from services.analyzer.engines.static.engine import StaticEngine
from services.analyzer.engines.static.pool import open_pool
from services.analyzer.ports import Source

MAX_FILE = 1_000_000
_LEFT_OUT = frozenset({".git", "node_modules", "__pycache__", "site-packages", ".venv"})


def read(directory: Path) -> list[Source]:
    """Every text file below the directory."""
    sources = []
    for path in sorted(directory.rglob("*")):
        parts = path.relative_to(directory)
        if set(parts.parts) & _LEFT_OUT or path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
            continue
        content = path.read_bytes()
        if content and b"\0" not in content[:8000]:
            sources.append(Source(path=str(parts), content=content, content_hash="0"))
    return sources


async def measure(sources: list[Source], workers: int, parallel: int) -> dict[str, object]:
    """Analyses all of them once."""
    opened = time.perf_counter()
    async with open_pool(workers=workers, file_seconds=10) as pool:
        engine = StaticEngine(pool)
        await engine.analyse(sources[0])
        first = time.perf_counter() - opened
        slots = asyncio.Semaphore(parallel)
        took: list[float] = []
        done: list[tuple[str, FileAnalysis]] = []

        async def one(source: Source) -> None:
            async with slots:
                begun = time.perf_counter()
                examined = await engine.analyse(source)
                took.append(time.perf_counter() - begun)
                done.append((source.path, examined.analysis))

        begun = time.perf_counter()
        await asyncio.gather(*map(one, sources))
        seconds = time.perf_counter() - begun
        memory = [_resident(pid) for pid in pool.process_ids]
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = spent.ru_utime + spent.ru_stime
    took.sort()
    size = sum(len(source.content) for source in sources)
    findings = [finding for _, analysis in done for finding in analysis.findings]
    return {
        "files": len(sources),
        "megabytes": round(size / 1e6, 1),
        "first_file_seconds": round(first, 2),
        "files_per_second": round(len(sources) / seconds),
        "files_per_cpu_second": round(len(sources) / cpu),
        "megabytes_per_second": round(size / 1e6 / seconds, 2),
        "p50_ms": round(1000 * took[len(took) // 2], 1),
        "p99_ms": round(1000 * took[int(len(took) * 0.99)], 1),
        "worker_megabytes": memory,
        "partial": {path: analysis.partial_reasons for path, analysis in done if analysis.outcome == "partial"},
        "findings": len(findings),
        "severities": Counter(str(finding.severity) for finding in findings),
        "rules": Counter(finding.rule for finding in findings).most_common(15),
    }


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=128)
    options = parser.parse_args()
    result = asyncio.run(measure(read(options.directory), options.workers, options.parallel))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
