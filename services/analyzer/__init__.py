"""Analyses one file at a time, many at once."""
