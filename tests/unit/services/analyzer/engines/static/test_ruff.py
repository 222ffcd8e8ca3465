"""ruff's answer becomes findings that an owner would agree with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from libs.events.analyzer import Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind
from services.analyzer.engines.static.ruff import SYNTAX, RuffFailed, Run, binary, codes, drafts


def linted(code: str, directory: Path, *, role: str = "source", form: str = "") -> list[Draft]:
    found = Run({0: code}, directory).result(60)
    kind = Kind(language="python", role=role, form=form)  # type: ignore[arg-type]
    return drafts(found.get(0, []), kind=kind, text=code, lines=code.split("\n"))


def rules(code: str, directory: Path, role: str = "source", form: str = "") -> list[str]:
    return [draft.rule for draft in linted(code, directory, role=role, form=form)]


BAD = {
    "ruff/f821": "print(nothing_like_it)\n",
    "ruff/f632": "x = 1\nif x is 1:\n    pass\n",
    "ruff/b006": "def f(a=[]):\n    a.append(1)\n",
    "ruff/b012": "def f():\n    try:\n        g()\n    finally:\n        return 1\n\n\ndef g(): ...\n",
    "ruff/s602": "import subprocess\n\n\ndef f(x):\n    subprocess.run(x, shell=True)\n",
    "ruff/s608": "def f(c, x):\n    c.execute(f\"SELECT * FROM t WHERE a = '{x}'\")\n",
    "ruff/s501": "import requests\n\nrequests.get('https://a', verify=False, timeout=1)\n",
    "ruff/s506": "import yaml\n\nyaml.load('a', Loader=yaml.Loader)\n",
    "ruff/e722": "try:\n    f = 1\nexcept:\n    f = 2\n",
    "ruff/s307": "def f(x):\n    return eval(x)\n",
    "ruff/async251": "import time\n\n\nasync def f():\n    time.sleep(1)\n",
    "ruff/plw0133": "def f():\n    ValueError('x')\n",
    "ruff/invalid-syntax": "def f(:\n",
}


@pytest.mark.parametrize("rule", sorted(BAD))
def test_real_bugs_are_found(rule: str, tmp_path: Path) -> None:
    assert rule in rules(BAD[rule], tmp_path)


def test_code_without_bugs_is_left_alone_whatever_its_style(tmp_path: Path) -> None:
    assert rules("import os;x=os.getcwd( )\ndef F( a,b ) :\n  assert a\n  return(a==None)\n", tmp_path) == []


@pytest.mark.parametrize("code", ["def f(a=[]):\n    return len(a)\n", "def f(_cache={}):\n    _cache[1] = 2\n"])
def test_a_harmless_mutable_default_is_rated_low(code: str, tmp_path: Path) -> None:
    [draft] = linted(code, tmp_path)

    assert (draft.rule, draft.severity) == ("ruff/b006", Severity.LOW)


def test_security_of_tests_is_not_judged_and_their_bugs_are_rated_low(tmp_path: Path) -> None:
    [draft] = linted("def f(x):\n    eval(x)\n    return nothing_like_it\n", tmp_path, role="test")

    assert (draft.rule, draft.severity) == ("ruff/f821", Severity.LOW)


@pytest.mark.parametrize(("mode", "found"), [("0o777", ["ruff/s103"]), ("0o755", [])])
def test_only_rights_to_write_are_too_many(mode: str, found: list[str], tmp_path: Path) -> None:
    assert rules(f"import os\n\nos.chmod('a', {mode})\n", tmp_path) == found


def test_a_package_file_may_import_without_use(tmp_path: Path) -> None:
    assert rules("import os\n", tmp_path) == ["ruff/f401"]
    assert rules("import os\n", tmp_path, form="init") == []


@pytest.mark.parametrize(
    "code",
    [
        "globals().update(a=1)\nprint(a)\n",
        "def f():\n    return a\n\n\na = 1\nf()\ndel a\n",
        "try:\n    text = unicode\nexcept NameError:\n    text = str\n",
        "get_ipython()\n",
    ],
)
def test_names_made_at_run_time_are_not_undefined(code: str, tmp_path: Path) -> None:
    assert rules(code, tmp_path) == []


def test_many_unused_imports_are_one_finding(tmp_path: Path) -> None:
    [draft] = linted("import a\nimport b\nimport c\nimport d\nimport e\n", tmp_path)

    assert draft.title == "`a` imported but unused (and 4 more)"


def test_a_broken_file_has_one_finding_for_all_its_errors(tmp_path: Path) -> None:
    [draft] = linted("print 'a'\nprint 'b'\nexec 'c'\n", tmp_path)

    assert draft.title == "The file is no valid Python 3"


def test_the_repository_cannot_configure_it(tmp_path: Path) -> None:
    (tmp_path / "ruff.toml").write_text('lint.ignore = ["F821"]\n')
    (tmp_path / "pyproject.toml").write_text('[tool.ruff.lint]\nignore = ["F821"]\n')

    assert rules(BAD["ruff/f821"], tmp_path) == ["ruff/f821"]


def test_a_run_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(RuffFailed, match="timeout"):
        Run({0: "x = 1\n"}, tmp_path).result(0)

    assert list(tmp_path.iterdir()) == []


def test_every_code_of_the_table_exists_in_ruff() -> None:
    known = subprocess.run([binary(), "rule", "--all"], capture_output=True, text=True, check=True).stdout

    assert [name for name in codes() if name != SYNTAX and f"({name})" not in known] == []
