"""Who may speak to the terminal and the environment, and how things are logged."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import Module, modules, place

ENVIRONMENT = re.compile(r"(__main__|settings)\.py$|^services/standalone/")
"""Main and settings read it for a service; standalone is main all through."""
MAY_ASK = {
    "services/analyzer/engines/static/pool.py",
    "services/analyzer/engines/static/worker.py",
    "services/differ/clients/git.py",
}
"""They start or are child processes, whose environment they make."""
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def test_only_standalone_prints() -> None:
    printing = [
        place(module, call)
        for module in modules()
        if not module.name.startswith("services/standalone/")
        for call in module.calls()
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]

    assert printing == []


def test_nobody_else_looks_at_the_environment() -> None:
    looking = [
        place(module, node)
        for module in modules()
        if not ENVIRONMENT.search(module.name) and module.name not in MAY_ASK
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    ]

    assert looking == []


def test_log_events_are_constants_in_snake_case() -> None:
    odd = [
        f"{place(module, call)} {ast.unparse(call)[:80]}"
        for module, call in _log_calls()
        if not (
            len(call.args) == 1
            and isinstance(call.args[0], ast.Constant)
            and re.fullmatch(r"[a-z]+(_[a-z]+)+", str(call.args[0].value))
        )
    ]

    assert odd == []


def test_data_beside_a_log_event_is_named() -> None:
    nameless = [
        place(module, call) for module, call in _log_calls() for keyword in call.keywords if keyword.arg is None
    ]

    assert nameless == []


def test_nothing_happens_at_import_but_definitions() -> None:
    busy = [
        place(module, statement)
        for module in modules()
        for statement in module.tree.body
        if isinstance(statement, ast.For | ast.While | ast.With | ast.AsyncFor)
        and module.name != "services/standalone/__main__.py"
    ]

    assert busy == []


def test_async_code_does_not_swallow_being_cancelled() -> None:
    swallowing = [
        place(module, handler)
        for module in modules()
        for function in module.functions()
        if isinstance(function, ast.AsyncFunctionDef)
        for handler in ast.walk(function)
        if isinstance(handler, ast.ExceptHandler)
        and "BaseException" in ast.unparse(handler.type or ast.Name("BaseException"))
        and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    ]

    assert swallowing == []


def _log_calls() -> list[tuple[Module, ast.Call]]:
    return [
        (module, call)
        for module in modules()
        for call in module.calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and ast.unparse(call.func.value) in ("log", "structlog.get_logger()")
    ]
