"""A whole scan by a model: what the report says it cost is what the provider billed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.provider.script import Script
from tests.provider.server import running_provider

SCANNED = 6
STRANDLINE = str(Path(sys.executable).with_name("strandline"))


def a_repository(path: Path) -> Path:
    path.mkdir()
    for number in range(SCANNED):
        body = "".join(f"\n\ndef step_{n}(value):\n    return value + {number} * {n}\n" for n in range(12))
        (path / f"m{number}.py").write_text(f"import os\n{body}")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(("git", "-C", path, *command), check=True)
    return path


async def test_the_report_says_what_the_provider_billed(tmp_path: Path) -> None:
    repository = await asyncio.to_thread(a_repository, tmp_path / "repository")
    async with running_provider(Script()) as provider:
        process = await asyncio.create_subprocess_exec(
            *(STRANDLINE, "scan", str(repository), "--engine", "llm", "--data-dir", str(tmp_path / "data")),
            env={
                **os.environ,
                "STRANDLINE_MODEL_PROFILE": "xai",
                "STRANDLINE_MODEL_URL": provider.url,
                "STRANDLINE_MODEL_KEY": "k",
            },
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()

    assert process.returncode == 0, said
    assert len(provider.calls) == SCANNED
    assert f"{SCANNED} analysed · cost ${provider.billed_ticks / 10**10:.4f}" in said
