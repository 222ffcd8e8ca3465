"""What a person gets wrong: one clear sentence and the right exit code, never a traceback."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import environment, git, make_repository, run, running

USAGE, INCOMPLETE = 64, 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Usage"),
        (("--nope",), "No such option"),
        (("scan", ""), "name a repository"),
        (("scan", "no/such/place"), "no/such/place does not exist"),
        (("scan", ".", "--full", "--base", "HEAD"), "give one of them"),
        (("scan", ".", "--budget", "cheap"), "'cheap' is no amount of dollars"),
        (("scan", ".", "--fail-on", "HIGH"), "'critical', 'high', 'medium', 'low'"),
        (("pause", "a/b"), "is no scan id"),
        (("events", "--since", "yesterday"), "neither a sequence number nor a time"),
        (("repos", "set", "x"), "name a setting to change"),
        (("up", "--url", "http://127.0.0.1:9"), "cannot be used with --url"),
    ],
)
def test_wrong_usage_exits_with_64(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run(*arguments, env=environment(tmp_path / "untouched"))

    assert (done.returncode, done.stdout) == (USAGE, "")
    assert said in done.stderr
    assert not (tmp_path / "untouched").exists()


def test_an_address_where_nobody_answers_is_one_sentence(tmp_path: Path) -> None:
    done = run("status", env=environment(tmp_path, STRANDLINE_URL="http://127.0.0.1:9"))

    assert (done.returncode, done.stdout) == (INCOMPLETE, "")
    assert done.stderr.startswith("strandline: no deployment answers")
    assert done.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("status", env=environment(tmp_path / "file"))

    assert (done.returncode, done.stderr) == (INCOMPLETE, f"strandline: {tmp_path}/file is not a directory\n")


@pytest.fixture(scope="module")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One deployment for all, so that each wrong input costs a second only."""
    with tempfile.TemporaryDirectory(prefix="strandline-data-", ignore_cleanup_errors=True) as name:
        env = environment(Path(name).resolve())
        with running("up", env=env) as service:
            service.says("strandline runs on")
            yield env
            service.process.terminate()
            assert service.wait() == 0


def test_repositories_that_cannot_be_scanned(running_service: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    bare = make_repository(tmp_path / "fresh", {"a.py": "A = 1\n"})
    (tmp_path / "unborn").mkdir()
    git(tmp_path / "unborn", "init", "-q")
    make_repository(tmp_path / "empty", {})
    wrong = make_repository(tmp_path / "wrong", {".strandline.toml": '\nexclud = ["x"]\n', "a.py": "A = 1\n"})
    for arguments, said in (
        (("plain",), "is not a git repository: run git init and commit, or name another path"),
        (("unborn",), "has no commits and no files: commit something first"),
        (("empty",), "has no files: there is nothing to scan"),
        ((wrong.name,), ".strandline.toml, line 2: unknown key 'exclud'"),
        ((bare.name, "--branch", "nope"), "has no branch 'nope'"),
    ):
        done = run("scan", tmp_path / arguments[0], *arguments[1:], env=running_service)

        assert done.returncode == INCOMPLETE, (arguments, done.stderr)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("strandline: ")
        assert said in last
        assert "Traceback" not in done.stderr


def test_repositories_of_odd_kinds_that_can(running_service: dict[str, str], tmp_path: Path) -> None:
    origin = make_repository(tmp_path / "origin", {"a.py": "A = 1\n"})
    (origin / "a.py").write_text("A = 2\n")
    git(origin, "commit", "-q", "-am", "Two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{origin}", "shallow")
    git(tmp_path, "clone", "-q", "--bare", str(origin), "bare.git")
    shallow = run("scan", tmp_path / "shallow", env=running_service)
    bare = run("scan", tmp_path / "bare.git", env=running_service)

    assert (shallow.returncode, bare.returncode) == (0, 0)
    assert "warning: the clone is shallow" in shallow.stderr


def test_unknown_ids_are_told_with_the_mend(running_service: dict[str, str]) -> None:
    for command, mend in (("cancel", "strandline status"), ("tasks", "strandline repos list")):
        done = run(command, "nope", env=running_service)

        assert (done.returncode, done.stdout) == (USAGE, "")
        assert done.stderr.startswith("strandline: ")
        assert mend in done.stderr
