"""What the style asks of modules and functions that no linter knows."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import Function, modules, place

NAMELESS = {"utils", "util", "common", "helpers", "helper", "core", "misc", "base"}
ROOMS = {
    "__init__",
    "__main__",
    "domain",
    "handlers",
    "ports",
    "store",
    "http",
    "clients",
    "settings",
    "migrations",
}
OTHER_ROOMS = {
    "analyzer": {"engines", "claims", "turns"},
    "standalone": {"client", "commands", "deployment", "embedded", "following", "show"},
}
"""Rooms with a name of their own: what only this service has."""
LONGEST = 50


def test_every_module_says_what_it_is_for() -> None:
    silent = [module.name for module in modules("libs", "services", "tests") if not _docstring(module.tree)]

    assert silent == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    nameless = [
        module.name
        for module in modules("libs", "services", "tests", "benchmarks", "schemas")
        if NAMELESS & set(module.name.removesuffix(".py").split("/"))
    ]

    assert nameless == []


def test_every_line_of_a_service_lives_in_a_room() -> None:
    homeless = [
        module.name
        for module in modules("services")
        if module.service
        and module.name.removesuffix(".py").split("/")[2] not in ROOMS | OTHER_ROOMS.get(module.service, set())
    ]

    assert homeless == []


def test_a_function_of_more_than_fifty_lines_says_why_it_is_whole() -> None:
    long = [
        f"{place(module, function)} {function.name}: {_lines(function)} lines"
        for module in modules()
        for function in module.functions()
        if _lines(function) > LONGEST and "whole" not in (_docstring(function) or "")
    ]

    assert long == []


def test_half_of_the_functions_are_short_and_nine_in_ten_not_long() -> None:
    lengths = sorted(_lines(function) for module in modules() for function in module.functions())

    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_ports_and_libs_carry_docstrings_on_what_is_public() -> None:
    silent = [
        f"{place(module, node)} {node.name}"
        for module in modules()
        if module.name.startswith("libs/") or module.name.endswith("/ports.py")
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and not _docstring(node) and not _is_small(node)
    ]

    assert silent == []


def test_domain_code_neither_awaits_nor_logs_nor_looks_at_the_clock() -> None:
    seen = [
        f"{place(module, node)}"
        for module in modules("services")
        if "/domain" in module.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Await | ast.AsyncFunctionDef) or _asks_the_world(node)
    ]

    assert seen == []


def _asks_the_world(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return bool(re.search(r"(^|\.)(now|utcnow|today|monotonic|time|perf_counter|random|get_logger|open)$", called))


def _docstring(node: ast.AST) -> str | None:
    return ast.get_docstring(node)  # type: ignore[arg-type]


def _lines(function: Function) -> int:
    """Lines of code without the signature and the docstring."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def _is_small(node: ast.ClassDef | Function) -> bool:
    """A class of names alone, or a function of a line or two, explains itself."""
    return (node.end_lineno or node.lineno) - node.lineno < 12
