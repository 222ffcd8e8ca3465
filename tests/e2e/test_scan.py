"""``strandline scan`` as a developer uses it: on a laptop, on a local repository, with nothing set up."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.e2e.command import environment, run, running

DOCUMENT = {
    "scan_id",
    "repository",
    "commit",
    "base",
    "started_at",
    "completed_at",
    "coverage",
    "cost",
    "findings",
    "tasks",
    "summary",
    "cross_cutting_concerns",
}


def test_a_first_scan_a_gate_and_a_change(small: Path, data_dir: Path) -> None:
    env = environment(data_dir)
    first = run("scan", small, "--json", "--fail-on", "medium", env=env)
    document = json.loads(first.stdout)

    assert first.returncode == 1, first.stderr
    assert "gate: 3 findings of severity medium or worse" in first.stderr
    assert set(document) >= DOCUMENT
    assert document["coverage"] == {
        "analysed": 2, "reused": 0, "skipped": {}, "failed": 0, "unreached": 0, "total": 2,
    }  # fmt: skip
    assert document["cost"]["ticks"] == 0
    assert {finding["path"] for finding in document["findings"]} == {"app.py", "a\nb \x1b[31m[x].py"}
    assert "[2/2]" in first.stderr
    assert "\x1b" not in first.stderr

    (small / "new.py").write_text("def f(x=[]):\n    return x\n")
    second = run("scan", small, env=env)

    assert second.returncode == 0, second.stderr
    assert "1 file listed (what changed since scan" in second.stdout
    assert "\x1b" not in second.stdout


def test_a_scan_that_was_killed_goes_on_where_it_was_and_so_does_whoever_had_joined_it(
    many: Path, small: Path, data_dir: Path
) -> None:
    env = environment(data_dir)
    with running("scan", many, "--parallel", "1", env=env) as holder:
        holder.says(r"^\[3/300\]")
        with running("scan", many, "--json", env=env) as guest, running("scan", small, env=env) as other:
            guest.says(r"resuming at \d+/300, \$0\.0000 spent")
            other.says(r"^small-\w+ .*2 files listed")
            holder.process.kill()
            codes = (guest.wait(), other.wait())

        assert codes == (0, 0), guest.lines[-5:] + other.lines[-5:]
        assert any("the process that ran the scan is gone; going on" in line for line in guest.lines)
        counted = [line.partition("[")[2].partition("/")[0] for line in guest.lines if "/300] " in line]
        assert counted == [str(number) for number in range(int(counted[0]), 301)]
        assert json.loads(guest.output)["coverage"]["analysed"] + json.loads(guest.output)["coverage"]["reused"] == 300


def test_an_interrupted_scan_says_so_and_goes_on_the_next_time(many: Path, data_dir: Path) -> None:
    env = environment(data_dir)
    with running("scan", many, "--parallel", "1", env=env) as scan:
        scan.says(r"^\[5/300\]")
        scan.process.send_signal(signal.SIGINT)

        assert scan.wait() == 130
        assert scan.lines[-1] == "strandline: interrupted; the same command goes on where it was"
        assert not [line for line in scan.lines if "Traceback" in line or line.startswith("{")]

    with running("scan", many, env=env) as again:
        again.says(r"^resuming at \d+/300, \$0\.0000 spent")

        assert again.wait() == 0
