"""Turns findings into one prioritised, ordered task list."""
