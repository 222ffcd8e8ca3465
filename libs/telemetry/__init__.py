"""Logs, traces and metrics: set-up, names, and how a trace crosses the bus."""
