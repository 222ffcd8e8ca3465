"""Logs: one event a line, as JSON for machines or in colour for a terminal, always on standard error.

Tracebacks are plain: one with local variables would show payloads and secrets. Passwords of addresses are cut out of
whatever is logged, the text of exceptions included.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Literal

import structlog

_CREDENTIALS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]*@")


def set_up_logs(*, service: str, form: Literal["json", "pretty"], level: str) -> None:
    """Configure structlog for the process. Events are constants in the past tense with data beside them."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_credentials,
    ]
    if form == "json":
        processors.append(structlog.processors.JSONRenderer())
    else:
        plain = structlog.dev.plain_traceback
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


def without_credentials(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The event with user and password taken out of every address in it."""
    return {key: _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return _CREDENTIALS.sub(r"\1", value) if "://" in value else value
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return value if value is None or isinstance(value, int | float) else _redacted(str(value))
