"""Engines: each makes a file's content into an analysis."""
