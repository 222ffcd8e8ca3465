"""Finds what changed in a repository and queues it."""
