"""The static engine with its real worker processes: fast, deterministic, and not to be hurt by a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from libs.bus.api import Retry
from libs.events.analyzer import FileAnalysis
from services.analyzer.engines.static import pool as pool_module
from services.analyzer.engines.static.engine import StaticEngine, open_static_engine
from services.analyzer.engines.static.pool import Pool, open_pool
from services.analyzer.ports import EngineFailed, Source

PYTHON = b"import os\n\n\ndef f(x):\n    return eval(x)\n"
ROOT = Path(__file__).parents[4]


def a_source(path: str = "a.py", content: bytes = PYTHON) -> Source:
    return Source(path=path, content=content, content_hash="0")


@contextlib.asynccontextmanager
async def an_engine(*, workers: int = 1, file_seconds: float = 10.0) -> AsyncIterator[tuple[StaticEngine, Pool]]:
    async with open_pool(workers=workers, file_seconds=file_seconds) as pool:
        yield StaticEngine(pool), pool


async def analysis_of(engine: StaticEngine, source: Source) -> FileAnalysis:
    return (await engine.analyse(source)).analysis


async def test_a_file_is_analysed_at_no_cost() -> None:
    async with open_static_engine(workers=1) as engine:
        examined = await engine.analyse(a_source())

        assert [finding.rule for finding in examined.analysis.findings] == ["ruff/s307", "ruff/f401"]
        assert (examined.cost.ticks, examined.cost.source) == (0, "free")
        assert engine.worst_case_ticks(a_source()) == 0
        assert engine.name == "static"
        assert engine.version == examined.analysis.engine_version


async def test_the_identity_is_the_language_and_role_and_nothing_else() -> None:
    async with open_static_engine(workers=1) as engine:
        paths = ["src/a.py", "lib/b.py", "tests/a.py", "a.js"]

        assert [engine.identity(a_source(path)) for path in paths] == [
            "python/source",
            "python/source",
            "python/test",
            "javascript/source",
        ]


async def test_the_same_content_has_the_same_bytes_in_any_batch_worker_and_order() -> None:
    files = sorted((ROOT / "services/analyzer").rglob("*.py")) + sorted((ROOT / "libs").rglob("*.py"))
    sources = [a_source(path.name, path.read_bytes()) for path in files]
    async with an_engine(workers=2) as (engine, _):
        together = await asyncio.gather(*(analysis_of(engine, source) for source in sources))
        turned = await asyncio.gather(*(analysis_of(engine, source) for source in reversed(sources)))
        alone = [await analysis_of(engine, source) for source in sources[:8]]

    assert [a.model_dump_json() for a in together] == [a.model_dump_json() for a in reversed(turned)]
    assert [a.model_dump_json() for a in together[:8]] == [a.model_dump_json() for a in alone]


async def test_a_killed_worker_is_replaced_and_its_files_are_analysed() -> None:
    async with an_engine() as (engine, pool):
        await engine.analyse(a_source())
        [first] = pool.process_ids
        waiting = asyncio.gather(*(analysis_of(engine, a_source(f"a{n}.py")) for n in range(200)))
        os.kill(first, signal.SIGKILL)
        analyses = await waiting

        assert [len(analysis.findings) for analysis in analyses] == [2] * 200
        assert pool.process_ids != [first]


@pytest.fixture
def sabotage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes workers misbehave on files that hold a word: code put in front of their path."""

    def install(act: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(
            "import os, re, sys, time, ctypes\n"
            "if sys.argv[0] == '-m':\n"
            "    import services.analyzer.engines.static.examine as examine\n"
            "    genuine = examine.secrets\n"
            "    def secrets(text, **rest):\n"
            f"        if 'SABOTAGE' in text: {act}\n"
            "        return genuine(text, **rest)\n"
            "    examine.secrets = secrets\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


@pytest.mark.parametrize(
    ("act", "seconds", "reason"),
    [
        ("time.sleep(3600)", 3, "secrets: timeout"),
        ("re.match(r'(a+)+$', 'a' * 60 + 'b')", 3, "secrets: timeout"),
        ("ctypes.string_at(0)", 30, "secrets: crash (signal 11)"),
        ("os._exit(7)", 30, "secrets: crash (exit 7)"),
        ("[bytearray(1 << 28) for _ in range(1000)]", 30, "secrets: crash (MemoryError)"),
    ],
)
async def test_a_tool_that_hangs_or_dies_loses_only_its_own_findings_on_that_file(
    sabotage, act, seconds, reason
) -> None:
    sabotage(act)
    bad = a_source("bad.py", PYTHON + b"# TODO: SABOTAGE\n")
    async with an_engine(file_seconds=seconds) as (engine, _):
        good = [analysis_of(engine, a_source(f"a{n}.py")) for n in range(10)]
        guilty, *others = await asyncio.gather(analysis_of(engine, bad), *good)

    assert (guilty.outcome, guilty.partial_reasons) == ("partial", [reason])
    assert {finding.rule for finding in guilty.findings} == {"ruff/s307", "ruff/f401", "static/todo"}
    assert {analysis.outcome for analysis in others} == {"complete"}


@pytest.mark.parametrize("python", ["/bin/false", "/nonexistent/python"])
async def test_where_workers_cannot_start_the_file_is_for_later(monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    monkeypatch.setattr(sys, "executable", python)
    async with an_engine() as (engine, _):
        with pytest.raises(Retry, match="do not live"):
            await engine.analyse(a_source())


async def test_a_file_on_which_every_worker_dies_fails_for_good(sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage("os._exit(7)")
    monkeypatch.setattr(pool_module, "MAX_DEATHS", 1)
    async with an_engine() as (engine, _):
        with pytest.raises(EngineFailed) as failure:
            await engine.analyse(a_source("bad.py", b"# SABOTAGE\n"))

    assert failure.value.reason == "engine_error"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("line.js", b"var a = '" + b"x" * 3_000_000 + b"';"),
        ("deep.js", b"(" * 200_000 + b")" * 200_000),
        ("deep.py", b"(" * 200_000 + b")" * 200_000),
        ("unary.c", b"int x = " + b"- " * 9_000 + b"1;"),
        ("indent.py", b"".join(b" " * n + b"if a:\n" for n in range(600))),
        ("tags.tsx", b"const a = " + b"<a>" * 6_000 + b"</a>" * 6_000),
        ("nul.py", b"\0" * 10_000),
        ("random.rb", bytes(range(256)) * 100),
        ("utf16.py", "x = 'ä'\r\n".encode("utf-16")),
    ],
)
async def test_hostile_files_have_an_analysis(path: str, content: bytes) -> None:
    async with an_engine() as (engine, _):
        analysis = await analysis_of(engine, a_source(path, content))

        assert analysis.lines > 0
        assert (await analysis_of(engine, a_source())).outcome == "complete"


async def test_leaving_ends_every_process_and_removes_every_file() -> None:
    async with an_engine(workers=2) as (engine, pool):
        await engine.analyse(a_source())
        processes = [psutil.Process(pid) for pid in pool.process_ids]
        directory = pool.directory

    assert not any(process.is_running() for process in processes)
    assert not directory.exists()


async def test_leaving_while_files_wait_does_not_hang() -> None:
    async with an_engine() as (engine, _):
        waiting = [asyncio.create_task(analysis_of(engine, a_source(f"a{n}.py"))) for n in range(100)]
        await asyncio.sleep(0)

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, FileAnalysis | Retry) for result in results)


async def test_a_caller_that_gives_up_does_not_disturb_the_others() -> None:
    async with an_engine() as (engine, _):
        first = asyncio.create_task(analysis_of(engine, a_source()))
        second = asyncio.create_task(analysis_of(engine, a_source("b.py")))
        await asyncio.sleep(0)
        first.cancel()

        assert (await second).outcome == "complete"


async def test_modules_of_the_working_directory_are_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "yaml", "sitecustomize", "services", "ruff"):
        (tmp_path / f"{name}.py").write_text("import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    async with an_engine() as (engine, _):
        analysis = await analysis_of(engine, a_source())

    assert analysis.outcome == "complete"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".ran")]


PARENT = """
import asyncio, sys
from services.analyzer.engines.static.pool import open_pool
from services.analyzer.engines.static.languages import Kind

async def main():
    async with open_pool(workers=2, file_seconds=10) as pool:
        await pool.examine(Kind(language="python", role="source"), b"x = 1")
        print(pool.directory, *pool.process_ids, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_workers_die_with_a_parent_that_is_killed_and_clear_up() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        directory, *pids = parent.stdout.readline().decode().split()
        workers = [psutil.Process(int(pid)) for pid in pids]
        parent.kill()

    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert len(gone) == 2
    assert alive == []
    assert not Path(directory).exists()
