"""Whom the analyzer asks."""
