"""The trace context as message headers."""

from __future__ import annotations

from opentelemetry import propagate, trace


def trace_headers() -> dict[str, str]:
    """``traceparent`` and its like for the current span; empty, at no cost, where there is none."""
    headers: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(headers)
    return headers
