"""The path says which language a file is in and what part it plays."""

from __future__ import annotations

import pytest
from ast_grep_py import SgRoot

from services.analyzer.engines.static.languages import GRAMMARS, kind_of


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("src/app.py", b"", "python/source"),
        ("src/__init__.py", b"", "python/init/source"),
        ("src/app.pyi", b"", "python/stub/source"),
        ("tests/test_app.py", b"", "python/test"),
        ("pkg/conftest.py", b"", "python/test"),
        ("web/button.test.tsx", b"", "tsx/test"),
        ("pkg/server_test.go", b"", "go/test"),
        ("src/UserTest.java", b"", "java/test"),
        ("examples/run.rb", b"", "ruby/example"),
        (".env.example", b"", "dotenv/example"),
        ("docs/conf.py", b"", "python/docs"),
        ("README.md", b"", "markdown/docs"),
        ("config.yml", b"", "yaml/config"),
        ("Dockerfile", b"", "dockerfile/config"),
        ("include/a.h", b"int f(void);", "c/source"),
        ("include/a.h", b"namespace a {\nclass B {\npublic:\n};\n}", "cpp/source"),
        ("bin/run", b"#!/usr/bin/env python3\n", "python/source"),
        ("bin/run", b"#!/bin/sh -e\n", "bash/source"),
        ("bin/run", b"#!/usr/bin/env -S node --x\n", "javascript/source"),
        ("notes", b"hello", "text/source"),
        ("src/main.rs", b"", "rust/entry/source"),
        ("a\\b.py", b"", "python/source"),
        ("latest.py", b"", "python/source"),
        ("contest/attest.py", b"", "python/source"),
    ],
)
def test_a_path_has_its_kind(path: str, content: bytes, kind: str) -> None:
    assert str(kind_of(path, content)) == kind


@pytest.mark.parametrize("language", sorted(GRAMMARS))
def test_every_kind_of_node_exists_in_its_grammar(language: str) -> None:
    grammar = GRAMMARS[language]
    root = SgRoot("", language).root()

    for kind in (*grammar.functions, *grammar.containers, *grammar.decisions, *grammar.nesting, *grammar.comments):
        assert root.find_all(kind=kind) == []
