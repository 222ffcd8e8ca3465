"""Logs: one event a line, as JSON for machines or in colour for a terminal, always on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog


def set_up_logs(*, service: str, form: Literal["json", "pretty"], level: str) -> None:
    """Configure structlog for the process. Events are constants in the past tense with data beside them."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
