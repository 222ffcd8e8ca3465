"""A deployment that is there already: ``strandline up``, or five services and a console's address."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.command import environment, make_repository, run, running
from tests.servers.nats import running_nats

SERVICES = ("differ", "analyzer", "ledger", "reviewer", "console")


def test_a_service_that_others_join_and_that_stops_at_once(small: Path, data_dir: Path) -> None:
    env = environment(data_dir)
    with running("up", env=env) as service:
        service.says("strandline runs on")
        scanned = run("scan", small, "--json", env=env)
        scan_id = json.loads(scanned.stdout)["scan_id"]
        listed = run("tasks", small, "--json", env=env)
        document = run("status", scan_id, "--json", env=env)
        health = run("doctor", env=env)
        with running("events", "--from-start", "--scan", scan_id, env=env) as events:
            assert events.process.stdout is not None
            service.process.terminate()

            assert service.wait() == 0
            events.process.kill()

    assert (scanned.returncode, health.returncode) == (0, 0), scanned.stderr + health.stdout
    assert json.loads(listed.stdout) == json.loads(scanned.stdout)["tasks"]
    assert json.loads(document.stdout)["scans"][0]["status"] == "complete"
    assert "ok   analyzer" in health.stdout
    assert service.lines == [f"strandline runs on {data_dir}; stop it with Ctrl-C"]


@contextlib.contextmanager
def separate_services(nats_url: str, database_url: str, directory: Path) -> Iterator[str]:
    """Each service as a process of its own; yields the console's address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRANDLINE_")}
    env |= {"NATS_URL": nats_url, "DATABASE_URL": database_url}
    env |= {"STRANDLINE_DIFFER_MIRRORS": str(directory / "mirrors"), "STRANDLINE_CONSOLE_PORT": "0"}
    processes = [
        subprocess.Popen([sys.executable, "-m", f"services.{name}"], env=env, stderr=subprocess.PIPE, text=True)
        for name in SERVICES
    ]
    try:
        console = processes[-1].stderr
        assert console is not None
        said = next(line for line in console if "console_listening" in line)
        yield f"http://127.0.0.1:{json.loads(said)['port']}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=30)
        assert [process.returncode for process in processes] == [0] * len(processes)


def test_the_same_commands_against_services_elsewhere(database_url: str, small: Path, tmp_path: Path) -> None:
    # Servers of its own: the services would hear what other tests publish.
    with running_nats(tmp_path / "nats") as nats, separate_services(nats.url, database_url, tmp_path) as url:
        env = environment(tmp_path / "untouched", STRANDLINE_URL=url)
        scan = run("scan", small, "--json", env=env)
        assert scan.returncode == 0, scan.stderr
        document = json.loads(scan.stdout)
        assert document["coverage"]["analysed"] + document["coverage"]["reused"] == 2

        said = {command: run(*command.split(), env=env) for command in ("tasks", "findings", "cost", "repos list")}
        assert [done.returncode for done in said.values()] == [0, 0, 0, 0]
        assert document["tasks"][0]["id"] in said["tasks"].stdout
        assert "3 findings" in said["findings"].stdout
        assert document["scan_id"] in said["cost"].stdout
        assert str(small) in said["repos list"].stdout

        many = make_repository(tmp_path / "many", {f"m{n}.py": f"def f{n}(a): return eval(a)\n" for n in range(200)})
        with running("scan", many, "--parallel", "1", env=env) as paused:
            scan_id = re.findall(r"^scan (\S+):", paused.says(r"^scan \S+:"))[0]
            assert run("pause", scan_id, env=env).returncode == 0
            assert paused.wait() == 2
            assert f"`strandline resume {scan_id}` goes on" in paused.lines[-1]
        cancelled = run("cancel", scan_id, env=env)
        assert (cancelled.returncode, "cancelled" in cancelled.stdout) == (0, True)
    assert not (tmp_path / "untouched").exists()


def test_a_port_that_is_taken_is_one_sentence(nats_url: str) -> None:
    env = {**os.environ, "NATS_URL": nats_url, "STRANDLINE_CONSOLE_PORT": nats_url.rsplit(":", 1)[1]}
    command = [sys.executable, "-m", "services.console"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "console: cannot listen on 127.0.0.1 port" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
