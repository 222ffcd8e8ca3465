"""``make bench``: the figures the product has to reach, measured on it as it is, as a table and as JSON.

``python -m benchmarks [--quick] [--only NAME] [--runs N] [--json FILE]``. Each benchmark runs in a process of its own.
Besides these there are closer looks at single parts, with arguments of their own: ``python -m benchmarks.PART``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.scene import measured

RUNS = {"startup": 5, "rescan": 5, "pipeline": 5, "library": 5, "growth": 1, "killed": 3}
"""How often each is measured; the table shows the medians."""
LONG = ("growth", "killed")
"""Those that take minutes."""
PARTS = ("bus", "ledger", "listing", "reviewer", "static_engine")


def main() -> None:
    options = _options()
    names = options.only or [name for name in RUNS if not (options.quick and name in LONG)]
    figures: list[Figure] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        figures += _apart(name, options.runs or RUNS[name])
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(figures))
    document = json.dumps({"processors": os.cpu_count(), "figures": [figure.as_json() for figure in figures]}, indent=1)
    print(document)
    if options.json:
        options.json.write_text(document + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=RUNS, help="Only this one; may be repeated.")
    parser.add_argument("--quick", action="store_true", help=f"Without those that take minutes: {', '.join(LONG)}.")
    parser.add_argument("--runs", type=int, help="How often to measure each.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write the JSON there as well.")
    return parser.parse_args()


def _apart(name: str, runs: int) -> list[Figure]:
    """In a process of its own, so that nothing one leaves behind is measured with the next."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, name, runs).result()


if __name__ == "__main__":
    main()
