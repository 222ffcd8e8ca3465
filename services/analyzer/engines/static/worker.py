"""A worker process: reads batches from its standard input, writes one analysis a file to its standard output.

It ends when its parent is gone (the pipe closes), when a file takes too long (a timer that needs no Python to run),
and when it has grown too large. Before each tool it notes in a file what it is about to do, so that the parent
knows what to blame for its death.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import queue
import resource
import shutil
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from services.analyzer.engines.static.examine import RUFF, Draught, complete, examine, prepare
from services.analyzer.engines.static.frames import Request, pack, pack_progress, read_requests
from services.analyzer.engines.static.ruff import RuffFailed, Run, drafts

MEMORY_LIMIT = 1 << 30
RETIRE_AT = 140 << 20
TIMED_OUT = 1
RETIRED = 3
"""Exit codes; the first is what the fault handler exits with."""


def main(progress: int, file_seconds: float, directory: Path) -> None:
    """Serves batches until the parent is gone."""
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    batches: queue.SimpleQueue[list[Request]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, batches, directory), daemon=True).start()
    bench = _Bench(progress, file_seconds, directory)
    gc.freeze()
    gc.set_threshold(50_000)
    while True:
        bench.serve(batches.get(), answers)
        if _resident_bytes() > RETIRE_AT:
            os._exit(RETIRED)


def _listen(stream: BinaryIO, batches: queue.SimpleQueue[list[Request]], directory: Path) -> None:
    """Ends the process as soon as the parent is gone, whatever it is doing, and clears up what the pool left."""
    while (batch := read_requests(stream)) is not None:
        batches.put(batch)
    shutil.rmtree(directory.parent, ignore_errors=True)
    os._exit(0)


class _Bench:
    """Where batches are worked on."""

    def __init__(self, progress: int, file_seconds: float, directory: Path) -> None:
        self._progress = progress
        self._seconds = file_seconds
        self._directory = directory
        self._silence = open(os.devnull, "w")  # noqa: SIM115 - as long as the process

    def serve(self, batch: list[Request], answers: BinaryIO) -> None:
        draughts = [self._prepare(place, request) for place, request in enumerate(batch)]
        wanted = {place: draught.text for place, draught in enumerate(draughts) if draught.wants_ruff}
        run = Run(wanted, self._directory) if wanted else None
        for place, draught in enumerate(draughts):
            self._timed(place, draught)
        if run is not None:
            self._lint(run, draughts, wanted)
        for place, draught in enumerate(draughts):
            self._note(place, "result")
            answers.write(pack(complete(draught).model_dump_json(exclude_none=True).encode(), place))
        answers.flush()
        self._note(-1, "idle")

    def _prepare(self, place: int, request: Request) -> Draught:
        self._note(place, "decode")
        return prepare(request)

    def _timed(self, place: int, draught: Draught) -> None:
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._silence)
        try:
            examine(draught, lambda tool: self._note(place, tool))
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _lint(self, run: Run, draughts: list[Draught], wanted: dict[int, str]) -> None:
        """One run for all; where that fails each file gets its own, so that only the guilty one goes without."""
        self._note(-1, RUFF)
        try:
            _add(draughts, run.result(self._seconds))
        except RuffFailed:
            for place, text in wanted.items():
                self._lint_one(place, text, draughts)

    def _lint_one(self, place: int, text: str, draughts: list[Draught]) -> None:
        try:
            _add(draughts, Run({place: text}, self._directory).result(self._seconds))
        except RuffFailed as failure:
            draughts[place].reasons[RUFF] = str(failure)

    def _note(self, place: int, what: str) -> None:
        os.pwrite(self._progress, pack_progress(place, what), 0)


def _add(draughts: list[Draught], found: dict[int, list[dict[str, Any]]]) -> None:
    for place, diagnostics in found.items():
        draught = draughts[place]
        draught.drafts += drafts(diagnostics, kind=draught.kind, text=draught.text, lines=draught.lines)


def _limit_memory() -> None:
    """An allocation beyond the limit ends this process, not its neighbours. Where the system refuses: no limit."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
